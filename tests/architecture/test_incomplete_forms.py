"""A form sent without one of its toggles, lists or versions changes nothing."""

import pytest

from accessflows.flows.choices import format_pair
from tests.architecture.smuggling import snapshot
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    GroupFactory,
    IdentityProviderFactory,
    IntegrationFactory,
    UserFactory,
    WebhookFactory,
    requester_users_of,
)
from tests.forms import hidden_fields, requester_fields


def flow_form() -> tuple[str, dict[str, object]]:
    flow = AccessFlowFactory(require_mfa=True, requester_users=[UserFactory()], targets=1)
    target = flow.targets.get()
    pair = format_pair((target.resource_id, target.permission_id))
    return f"/access-flows/{flow.pk}/edit/", {
        "name": "Changed",
        "require_mfa": "on",
        "mfa_strength": "any",
        **requester_fields(users=[requester_users_of(flow).get().pk]),
        "targets": pair,
        "max_duration": "8h",
        "approval": "automatic",
        "agents": "none",
        "require_justification": "on",
    }


def user_form() -> tuple[str, dict[str, object]]:
    user = UserFactory(groups=[GroupFactory()])
    return f"/users/{user.pk}/edit/", {"name": "Changed", "role": "member"}


def group_form() -> tuple[str, dict[str, object]]:
    group = GroupFactory(members=[UserFactory()])
    return f"/users/groups/{group.pk}/edit/", {"name": "Changed"}


def integration_form() -> tuple[str, dict[str, object]]:
    integration = IntegrationFactory()
    fields = ("kind", "host", "port", "broker", "sslmode", "connection_limit")
    values = {name: getattr(integration, name) for name in fields}
    return f"/integrations/{integration.pk}/edit/", {
        **values,
        "database": "postgres",
        "name": "Changed",
    }


def webhook_form() -> tuple[str, dict[str, object]]:
    webhook = WebhookFactory()
    return f"/webhooks/{webhook.pk}/", {"name": "Changed", "form": "full", "kinds": webhook.kinds}


def reset_form() -> tuple[str, dict[str, object]]:
    user = AuthenticatorFactory().user
    return f"/users/{user.pk}/reset-mfa/", {"reason": "Lost phone"}


def preferences_form() -> tuple[str, dict[str, object]]:
    return "/account/notifications/", {}


def provider_form() -> tuple[str, dict[str, object]]:
    provider = IdentityProviderFactory()
    fields = ("issuer", "client_id", "scopes", "groups_claim", "colour")
    values = {name: getattr(provider, name) for name in fields}
    return f"/single-sign-on/{provider.pk}/edit/", {**values, "name": "Changed"}


def domain_form() -> tuple[str, dict[str, object]]:
    domain = IdentityProviderFactory(domains=["halden.example"]).domains.get()
    return f"/single-sign-on/domains/{domain.pk}/", {"creates_users": "off"}


FORMS = {
    "flow": (
        flow_form,
        {"seen_version", "require_mfa", "mfa_strength", "require_ticket", "requesters", "agents"},
    ),
    "user": (user_form, {"seen", "groups"}),
    "group": (group_form, {"seen"}),
    "integration": (integration_form, {"seen", "terminate_sessions_on_reset"}),
    "webhook": (webhook_form, {"seen", "is_active", "kinds"}),
    "provider": (provider_form, {"seen", "is_active"}),
    "domain": (domain_form, {"seen", "creates_users", "is_enforced"}),
    "reset": (reset_form, {"revoke_access", "require_new_password"}),
    "preferences": (preferences_form, {"requests", "approvals", "targets"}),
}


@pytest.mark.parametrize("name", FORMS)
def test_without_any_one_of_its_fields_a_form_changes_nothing(admin_client, name):
    make, expected = FORMS[name]
    url, data = make()
    complete = {**hidden_fields(admin_client, url), **data}
    assert expected <= complete.keys()
    before = snapshot()
    for missing in expected | hidden_fields(admin_client, url).keys():
        rest = {field: value for field, value in complete.items() if field != missing}
        answer = admin_client.post(url, rest)
        assert answer.status_code == 422, missing
        assert snapshot() == before, missing
    assert admin_client.post(url, complete).status_code in {200, 302}
    assert snapshot() != before


@pytest.mark.parametrize("name", sorted(FORMS.keys() - {"domain", "reset", "preferences"}))
def test_a_form_of_before_somebody_elses_change_is_a_conflict(admin_client, name):
    url, data = FORMS[name][0]()
    stale = {**hidden_fields(admin_client, url), **data}
    assert admin_client.post(url, stale | {"name": "Of somebody else"}).status_code == 302
    saved = snapshot()
    answer = admin_client.post(url, stale)
    assert answer.status_code == 422
    assert "Someone else saved this while you were editing" in answer.content.decode()
    assert snapshot() == saved
