"""Names of audit events: ``subject:verb``."""

from django.db import models


class EventName(models.TextChoices):
    """Every event of the audit log, with the label that pages show."""

    SESSION_SIGN_IN = "session:sign_in", "Signed in"
    SESSION_SIGN_IN_FAIL = "session:sign_in_fail", "Sign-in failed"
    SESSION_LOCK_OUT = "session:lock_out", "Sign-in locked out"
    SESSION_SIGN_OUT = "session:sign_out", "Signed out"
    SESSION_END = "session:end", "Session ended"
    SESSION_BREAK_GLASS = "session:break_glass", "Break-glass sign-in"

    USER_CREATE = "user:create", "User added"
    USER_INVITE = "user:invite", "Password link created"
    USER_REQUEST_PASSWORD_LINK = "user:request_password_link", "Password reset requested"
    USER_IMPORT = "user:import", "Users imported"
    USER_CHANGE = "user:change", "User changed"
    USER_DEACTIVATE = "user:deactivate", "User deactivated"
    USER_REACTIVATE = "user:reactivate", "User reactivated"
    USER_CHANGE_PASSWORD = "user:change_password", "Password changed"
    GROUP_CHANGE = "group:change", "Group changed"
    GROUP_DELETE = "group:delete", "Group deleted"
    DIRECTORY_CREATE = "directory:create", "Directory connected"
    DIRECTORY_CREATE_TOKEN = "directory:create_token", "Directory token created"
    DIRECTORY_REVOKE_TOKEN = "directory:revoke_token", "Directory token revoked"
    DIRECTORY_DELETE = "directory:delete", "Directory disconnected"

    PROVIDER_CREATE = "provider:create", "Identity provider added"
    PROVIDER_CHANGE = "provider:change", "Identity provider changed"
    PROVIDER_DELETE = "provider:delete", "Identity provider deleted"
    PROVIDER_TEST = "provider:test", "Identity provider tested"
    PROVIDER_CHANGE_DOMAIN = "provider:change_domain", "Sign-in domain changed"
    PROVIDER_CHANGE_MAPPING = "provider:change_mapping", "Claim mapping changed"
    PROVIDER_CONNECT = "provider:connect", "User connected to identity provider"
    PROVIDER_REFUSE = "provider:refuse", "Single sign-on refused"
    PROVIDER_BREAK_GLASS = "provider:break_glass", "Break-glass admin changed"

    MFA_BEGIN_SET_UP = "mfa:begin_set_up", "Authenticator setup started"
    MFA_SET_UP = "mfa:set_up", "MFA turned on"
    MFA_VERIFY = "mfa:verify", "MFA verified"
    MFA_REFUSE = "mfa:refuse", "MFA verification refused"
    MFA_REPEAT = "mfa:repeat", "MFA code entered twice"
    MFA_THROTTLE = "mfa:throttle", "MFA rate-limited"
    MFA_ADD_METHOD = "mfa:add_method", "MFA method added"
    MFA_RENAME_METHOD = "mfa:rename_method", "MFA method renamed"
    MFA_REMOVE_METHOD = "mfa:remove_method", "MFA method removed"
    MFA_VOUCH_PASSKEY = "mfa:vouch_passkey", "Passkey vouched for"
    MFA_SUSPECT_PASSKEY = "mfa:suspect_passkey", "Passkey may have been copied"
    MFA_CLOSE_WINDOW = "mfa:close_window", "Verified window closed"
    MFA_RESET = "mfa:reset", "MFA reset"
    MFA_REMIND = "mfa:remind", "MFA reminder sent"
    MFA_LOCK_OUT = "mfa:lock_out", "MFA locked out"
    MFA_LIFT_LOCKOUT = "mfa:lift_lockout", "MFA lockout lifted"
    MFA_MAKE_RECOVERY_CODES = "mfa:make_recovery_codes", "Recovery codes generated"
    MFA_FORGET_BROWSER = "mfa:forget_browser", "Trusted browser removed"
    MFA_ROTATE_KEYS = "mfa:rotate_keys", "Encryption keys rotated"

    TOKEN_CREATE = "token:create", "API token created"
    TOKEN_REVOKE = "token:revoke", "API token revoked"
    TOKEN_CONFIRM = "token:confirm", "API token confirmed for a request"
    TOKEN_AWAIT_PLAN = "token:await_plan", "API token asks to apply access flows"
    TOKEN_CONFIRM_PLAN = "token:confirm_plan", "API token confirmed to apply access flows"

    FLOW_CREATE = "flow:create", "Access flow created"
    FLOW_CHANGE = "flow:change", "Access flow changed"
    FLOW_ACTIVATE = "flow:activate", "Access flow activated"
    FLOW_DEACTIVATE = "flow:deactivate", "Access flow deactivated"
    FLOW_DELETE = "flow:delete", "Access flow deleted"
    FLOW_MANAGE = "flow:manage", "Access flow managed by file"
    FLOW_RELEASE = "flow:release", "Access flow no longer managed by file"
    FLOW_FAVORITE = "flow:favorite", "Access flow marked as favorite"
    FLOW_UNFAVORITE = "flow:unfavorite", "Access flow no longer a favorite"

    CHANGE_PROPOSE = "change:propose", "Change proposed to a second admin"
    CHANGE_CONFIRM = "change:confirm", "Proposed change confirmed"
    CHANGE_REJECT = "change:reject", "Proposed change rejected"
    CHANGE_WITHDRAW = "change:withdraw", "Proposed change withdrawn"
    CHANGE_EXPIRE = "change:expire", "Proposed change expired"

    INTEGRATION_CREATE = "integration:create", "Integration added"
    INTEGRATION_CHANGE = "integration:change", "Integration changed"
    INTEGRATION_CHECK = "integration:check", "Integration checked"
    INTEGRATION_DISCOVER = "integration:discover", "Resources discovered"
    INTEGRATION_REVOKE_ALL = "integration:revoke_all", "All access on integration revoked"
    INTEGRATION_DISABLE = "integration:disable", "Integration disabled"
    INTEGRATION_CANARY = "integration:canary", "Canary run"
    INTEGRATION_DELETE = "integration:delete", "Integration deleted"

    REQUEST_SUBMIT = "request:submit", "Access requested"
    REQUEST_AWAIT_MFA = "request:await_mfa", "Request pending MFA"
    REQUEST_RELEASE = "request:release", "Request released by MFA"
    REQUEST_APPROVE = "request:approve", "Request approved"
    REQUEST_VOID_APPROVAL = "request:void_approval", "Approval invalidated"
    REQUEST_REOPEN = "request:reopen", "Approval required again"
    REQUEST_REJECT = "request:reject", "Request rejected"
    REQUEST_CANCEL = "request:cancel", "Request cancelled"
    REQUEST_LAPSE = "request:lapse", "Request lapsed"
    REQUEST_GRANT = "request:grant", "Provisioning started"
    REQUEST_BREAK_GLASS = "request:break_glass", "Break-glass access used"
    REQUEST_REVIEW = "request:review", "Break-glass access reviewed"
    REQUEST_LIFT_PAUSE = "request:lift_pause", "Break-glass pause lifted"
    REQUEST_ACTIVATE = "request:activate", "Access activated"
    REQUEST_FAIL = "request:fail", "Activation failed"
    REQUEST_REMIND = "request:remind", "Expiry reminder sent"
    REQUEST_ESCALATE = "request:escalate", "Request escalated"
    REQUEST_REQUEST_EXTENSION = "request:request_extension", "Extension requested"
    REQUEST_EXTEND = "request:extend", "Access extended"
    REQUEST_REFUSE_EXTENSION = "request:refuse_extension", "Extension refused"
    REQUEST_BEGIN_REVOCATION = "request:begin_revocation", "Revocation started"
    REQUEST_EXPIRE = "request:expire", "Access expired"
    REQUEST_REVOKE = "request:revoke", "Access revoked"

    GRANT_ACTIVATE = "grant:activate", "Login created on target"
    GRANT_REVEAL = "grant:reveal", "Credential revealed"
    GRANT_RESET = "grant:reset", "Credential reset"
    GRANT_CONTAIN = "grant:contain", "Access contained on target"
    GRANT_PROVE = "grant:prove", "Removal verified on target"
    GRANT_CLOSE = "grant:close", "Grant closed without proof"
    GRANT_RETRY = "grant:retry", "Target call failed"
    GRANT_FIND_OWNED_OBJECTS = "grant:find_owned_objects", "Leftover objects found on target"
    GRANT_FIND_PERMISSION_CHANGES = (
        "grant:find_permission_changes",
        "Rights given to others found on target",
    )
    GRANT_DRIFT = "grant:drift", "Drift detected on target"
    GRANT_RESOLVE_DRIFT = "grant:resolve_drift", "Drift resolved on target"
    GRANT_REMOVE_UNKNOWN = "grant:remove_unknown", "Unknown login removed from target"

    NOTIFICATION_CHOOSE = "notification:choose", "Email notifications changed"
    WEBHOOK_CREATE = "webhook:create", "Webhook added"
    WEBHOOK_CHANGE = "webhook:change", "Webhook changed"
    WEBHOOK_REPLACE_SECRET = "webhook:replace_secret", "Webhook secret replaced"
    WEBHOOK_TEST = "webhook:test", "Test sent to webhook"
    WEBHOOK_DELETE = "webhook:delete", "Webhook deleted"
    DELIVERY_SEND_AGAIN = "delivery:send_again", "Delivery requeued"

    AUDIT_EXPORT = "audit:export", "Records exported"
    AUDIT_REQUEST_VERIFICATION = "audit:request_verification", "Audit log verification requested"
    AUDIT_VERIFY = "audit:verify", "Audit log verified"
    AUDIT_PRUNE = "audit:prune", "Old events removed"
    AUDIT_BACK_UP = "audit:back_up", "Database backed up"
    AUDIT_RESTORE = "audit:restore", "Database restored from a backup"
    AUDIT_DETECT_TAMPERING = "audit:detect_tampering", "Tampering detected"


def event_choices() -> list[tuple[str, str]]:
    """Return the events as a function, so that a new one needs no migration."""
    return EventName.choices


# Events that the log highlights.
WARNINGS = frozenset(
    {
        EventName.SESSION_SIGN_IN_FAIL,
        EventName.SESSION_LOCK_OUT,
        EventName.SESSION_BREAK_GLASS,
        EventName.PROVIDER_REFUSE,
        EventName.MFA_REFUSE,
        EventName.MFA_THROTTLE,
        EventName.REQUEST_BREAK_GLASS,
        EventName.REQUEST_FAIL,
        EventName.GRANT_CLOSE,
        EventName.GRANT_RETRY,
        EventName.GRANT_FIND_PERMISSION_CHANGES,
        EventName.GRANT_DRIFT,
        EventName.GRANT_REMOVE_UNKNOWN,
        EventName.AUDIT_RESTORE,
        EventName.AUDIT_DETECT_TAMPERING,
    }
)
