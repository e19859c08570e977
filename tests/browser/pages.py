"""Every page of the portal with somebody who looks at it, and the addresses that are no page."""

from collections.abc import Iterator

from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from tests.browser.world import World

STRANGER = ""
SIMPLE: dict[str, tuple[str, ...]] = {
    STRANGER: ("users:sign_in", "users:forgot_password", "users:reset_link_sent"),
    "requester": (
        "requests:my_access",
        "requests:list",
        "requests:new",
        "requests:step_up",
        "mfa:security",
        "mfa:add_passkey",
        "mfa:new_recovery_codes",
        "notifications:choose",
        "users:password",
        "users:time_zone",
        "api:tokens",
        "api:create_token",
        "api:create_agent_token",
        "api:docs",
    ),
    "newcomer": ("requests:my_access", "requests:list", "requests:new", "mfa:security"),
    "waiting": ("requests:step_up", "requests:my_access"),
    "approver": ("requests:approvals",),
    "auditor": (
        "requests:active_access",
        "requests:reviews",
        "requests:activity",
        "requests:insights",
        "requests:simulator",
        "notifications:deliveries",
        "audit:list",
        "users:list",
        "flows:list",
        "integrations:list",
    ),
    "admin": (
        "requests:active_access",
        "requests:reviews",
        "users:list",
        "users:create",
        "users:import",
        "users:groups",
        "users:create_group",
        "scim:directories",
        "scim:create",
        "mfa:lockouts",
        "changes:list",
        "flows:list",
        "flows:choose_type",
        "flows:create",
        "integrations:list",
        "status:status",
        "integrations:create",
        "notifications:deliveries",
        "notifications:webhooks",
        "notifications:create_webhook",
        "sso:list",
        "sso:create",
        "api:everybodys_tokens",
        "admin:index",
    ),
}
# Addresses that are no page of their own, by why.
NO_PAGE = {
    "answers a form": (
        "admin_sign_out",
        "download_my_data",
        "audit:verify",
        "changes:confirm",
        "changes:reject",
        "changes:withdraw",
        "flows:activate",
        "integrations:check",
        "integrations:enable",
        "integrations:run_canary",
        "mfa:close_window",
        "requests:confirm_set_up",
        "mfa:forget_browser",
        "notifications:replace_secret",
        "notifications:send_again",
        "notifications:send_test",
        "requests:add_favorite",
        "requests:approve",
        "requests:cancel",
        "requests:revoke",
        "requests:extend",
        "requests:reject",
        "requests:justify",
        "requests:refuse",
        "requests:lift_pause",
        "requests:remove_favorite",
        "flows:pick_group",
        "flows:pick_user",
        "requests:preview_flow",
        "requests:preview_new_flow",
        "requests:reset",
        "requests:reveal",
        "sso:add_domain",
        "sso:add_mapping",
        "sso:break_glass",
        "sso:remove_domain",
        "sso:remove_mapping",
        "scim:revoke",
        "users:end_device",
        "users:end_other_devices",
        "users:end_device_of_user",
        "users:end_devices_of_user",
        "users:invite",
        "users:reactivate",
        "users:remind",
        "users:sign_out",
        "users:theme",
        "users:apply_import",
        "users:remove_group_member",
        "users:vouch_for_passkey",
        "api:revoke_token",
        "api:revoke_as_admin",
    ),
    "is for programs": (
        "api:openapi",
        "api:mcp",
        "nowhere",
        "healthz",
        "readyz",
        "metrics",
        "audit:checkpoint",
        "audit:export_progress",
        "audit:export_csv",
        "audit:export_jsonl",
        "audit:verifier",
        "mfa:passkey_options",
        "mfa:passkey_registration_options",
        "sso:back_channel_logout",
        "scim:endpoint",
        "scim:root",
        "requests:activity_csv",
        "requests:activity_jsonl",
    ),
    "leads elsewhere": (
        "admin_sign_in",
        "admin_password",
        "mfa:codes_saved",
        "sso:callback",
        "sso:signed_out",
        "sso:start",
        "sso:test",
        "users:well_known_password",
    ),
    "comes between two steps, and is walked elsewhere": (
        "audit:verification",
        "integrations:check_run",
        "requests:confirm_password",
        "mfa:lift_lockout",
        "mfa:recovery_codes",
        "requests:set_up",
        "notifications:delete_webhook",
        "notifications:edit_webhook",
        "requests:submitted",
        "sso:connect",
        "users:reset_password",
    ),
}


def pages_of(world: World) -> Iterator[tuple[str, str]]:
    """Yield who looks, and at which address."""
    for role, names in SIMPLE.items():
        for name in names:
            yield role, reverse(name)
    yield STRANGER, _link_to_set_password(world)
    yield STRANGER, "/nothing-here/"
    yield "requester", "/nothing-here/"
    for request in world.requests.values():
        yield "requester", reverse("requests:detail", args=[request.pk])
    yield "requester", reverse("requests:again", args=[world.requests["expired"].pk])
    for name in ("mfa:rename_method", "mfa:remove_method"):
        yield "requester", reverse(name, args=["passkey", world.passkey.pk])
    yield "requester", reverse("requests:login", args=["jit_abc"])
    active = world.requests["active"]
    yield "requester", reverse("api:confirm_token", args=[world.token.pk, active.pk])
    yield "approver", reverse("requests:decide", args=[world.decidable.pk])
    yield from (("admin", address) for address in _admin_pages(world))


def _admin_pages(world: World) -> Iterator[str]:
    person, flow = world.people["requester"], world.flow
    integration = world.canary.integration
    for name in ("users:detail", "users:edit", "users:reset_mfa", "users:deactivate"):
        yield reverse(name, args=[person.pk])
    yield reverse("api:create_service_token", args=[world.service.pk])
    for name in ("deactivate_selected", "reset_mfa_of_selected", "add_selected_to_group"):
        yield f"{reverse(f'users:{name}')}?user={person.pk}"
    for name in ("users:group", "users:edit_group", "users:add_group_members"):
        yield reverse(name, args=[world.owners.pk])
    yield reverse("api:confirm_plan", args=[world.admin_token.pk, world.plan.pk])
    for name in ("edit", "saved", "deactivate", "history"):
        yield reverse(f"flows:{name}", args=[flow.pk])
    yield reverse("requests:delete_flow", args=[flow.pk])
    for name in ("detail", "edit", "disable", "replace_secret"):
        yield reverse(f"integrations:{name}", args=[integration.pk])
    yield reverse("requests:delete_integration", args=[integration.pk])
    yield reverse("requests:server_gone", args=[integration.pk])
    yield reverse("requests:revoke_integration", args=[integration.pk])
    yield reverse("requests:review", args=[world.break_glass.pk])
    yield f"{reverse('requests:reviews')}?show=done"
    active = world.requests["active"].pk
    yield f"{reverse('requests:revoke_selected')}?request={active}"
    for name in ("detail", "edit", "delete"):
        yield reverse(f"sso:{name}", args=[world.provider.pk])
    for name in ("create_token", "delete"):
        yield reverse(f"scim:{name}", args=[world.directory.pk])
    yield reverse("users:group", args=[world.managed.pk])
    yield reverse("sso:edit_domain", args=[world.provider.domains.get().pk])
    yield reverse("integrations:canary", args=[integration.pk, world.canary.pk])


def _link_to_set_password(world: World) -> str:
    person = world.people["newcomer"]
    token = default_token_generator.make_token(person)
    return reverse(
        "users:set_password", args=[urlsafe_base64_encode(force_bytes(person.pk)), token]
    )
