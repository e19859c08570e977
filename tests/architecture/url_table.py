"""Who may open which URL. A URL that is not listed here fails test_urls.py."""

from enum import Enum


class Guard(Enum):
    PUBLIC = "everyone"
    SIGNED_IN = "every signed-in user"
    OWN = "the user it belongs to, and those who may read everything"
    APPROVER = "approvers of the flow"
    READER = "admins and auditors"
    ADMIN = "admins"


# View name (namespace:name) to guard. The Django admin site stands apart: admins with an open
# verified window only (mfa.middleware).
URLS: dict[str, Guard] = {
    "healthz": Guard.PUBLIC,
    "readyz": Guard.PUBLIC,
    "metrics": Guard.PUBLIC,  # to who sends the token; to others there is no such page
    "admin_sign_in": Guard.PUBLIC,
    "admin_sign_out": Guard.SIGNED_IN,
    "admin_password": Guard.SIGNED_IN,
    "audit:list": Guard.READER,
    "audit:verification": Guard.READER,
    "audit:verify": Guard.READER,
    "audit:checkpoint": Guard.READER,
    "audit:verifier": Guard.READER,
    "audit:export_progress": Guard.READER,
    "audit:export_csv": Guard.READER,
    "audit:export_jsonl": Guard.READER,
    "requests:activity": Guard.READER,
    "requests:activity_csv": Guard.READER,
    "requests:activity_jsonl": Guard.READER,
    "requests:insights": Guard.READER,
    "requests:login": Guard.OWN,
    # users
    "users:sign_in": Guard.PUBLIC,
    "users:sign_out": Guard.SIGNED_IN,
    "users:theme": Guard.PUBLIC,
    "users:password": Guard.SIGNED_IN,
    "users:well_known_password": Guard.SIGNED_IN,
    "users:list": Guard.READER,
    "users:reset_mfa": Guard.ADMIN,
    "users:vouch_for_passkey": Guard.ADMIN,
    "users:set_password": Guard.PUBLIC,
    "users:create": Guard.ADMIN,
    "users:remind": Guard.ADMIN,
    "users:edit": Guard.ADMIN,
    "users:invite": Guard.ADMIN,
    "users:deactivate": Guard.ADMIN,
    "users:reactivate": Guard.ADMIN,
    "users:groups": Guard.READER,
    "users:create_group": Guard.ADMIN,
    "users:edit_group": Guard.ADMIN,
    # mfa
    "mfa:security": Guard.SIGNED_IN,
    "requests:set_up": Guard.SIGNED_IN,
    "requests:confirm_set_up": Guard.SIGNED_IN,
    "requests:confirm_password": Guard.SIGNED_IN,
    "mfa:add_passkey": Guard.SIGNED_IN,
    "mfa:passkey_registration_options": Guard.SIGNED_IN,
    "mfa:passkey_options": Guard.SIGNED_IN,
    "mfa:rename_method": Guard.SIGNED_IN,
    "mfa:remove_method": Guard.SIGNED_IN,
    "mfa:close_window": Guard.SIGNED_IN,
    "mfa:recovery_codes": Guard.SIGNED_IN,
    "mfa:new_recovery_codes": Guard.SIGNED_IN,
    "mfa:codes_saved": Guard.SIGNED_IN,
    "mfa:forget_browser": Guard.SIGNED_IN,
    "mfa:lockouts": Guard.ADMIN,
    "mfa:lift_lockout": Guard.ADMIN,
    # notices
    "notifications:choose": Guard.SIGNED_IN,
    "notifications:deliveries": Guard.READER,
    "notifications:send_again": Guard.ADMIN,
    "notifications:webhooks": Guard.READER,
    "notifications:create_webhook": Guard.ADMIN,
    "notifications:edit_webhook": Guard.ADMIN,
    "notifications:replace_secret": Guard.ADMIN,
    "notifications:send_test": Guard.ADMIN,
    "notifications:delete_webhook": Guard.ADMIN,
    # access flows
    "flows:list": Guard.READER,
    "flows:choose_type": Guard.ADMIN,
    "flows:create": Guard.ADMIN,
    "flows:edit": Guard.ADMIN,
    "flows:saved": Guard.ADMIN,
    "flows:history": Guard.READER,
    "requests:delete_flow": Guard.ADMIN,
    "requests:preview_flow": Guard.ADMIN,
    "requests:preview_new_flow": Guard.ADMIN,
    "flows:activate": Guard.ADMIN,
    "flows:deactivate": Guard.ADMIN,
    # integrations
    "integrations:list": Guard.READER,
    "integrations:create": Guard.ADMIN,
    "integrations:detail": Guard.READER,
    "integrations:edit": Guard.ADMIN,
    "integrations:check": Guard.ADMIN,
    "integrations:check_run": Guard.READER,
    "integrations:replace_secret": Guard.ADMIN,
    "requests:delete_integration": Guard.ADMIN,
    "requests:server_gone": Guard.ADMIN,
    "integrations:run_canary": Guard.ADMIN,
    "integrations:canary": Guard.READER,
    "integrations:enable": Guard.ADMIN,
    "integrations:disable": Guard.ADMIN,
    # requests
    "requests:my_access": Guard.SIGNED_IN,
    "requests:list": Guard.SIGNED_IN,
    "requests:new": Guard.SIGNED_IN,
    "requests:simulator": Guard.READER,
    "requests:submitted": Guard.OWN,
    "requests:again": Guard.OWN,
    "requests:step_up": Guard.SIGNED_IN,
    "requests:detail": Guard.OWN,
    "requests:reveal": Guard.OWN,
    "requests:reset": Guard.OWN,
    "requests:revoke": Guard.OWN,
    "requests:extend": Guard.OWN,
    "requests:cancel": Guard.OWN,
    "requests:approvals": Guard.SIGNED_IN,
    "requests:decide": Guard.APPROVER,
    "requests:approve": Guard.APPROVER,
    "requests:reject": Guard.APPROVER,
}
