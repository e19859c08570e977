"""The vocabulary of the audit log: ``subject:verb``."""

from django.db import models


class EventName(models.TextChoices):
    """Everything that is put on the record, with the words the page says."""

    SESSION_SIGN_IN = "session:sign_in", "Signed in"
    SESSION_SIGN_IN_FAIL = "session:sign_in_fail", "Sign-in failed"
    SESSION_LOCK = "session:lock", "Sign-in held off"
    SESSION_SIGN_OUT = "session:sign_out", "Signed out"
    SESSION_END = "session:end", "Session ended"

    USER_CREATE = "user:create", "Person added"
    USER_INVITE = "user:invite", "Link to set a password made"
    USER_CHANGE = "user:change", "Person changed"
    USER_DEACTIVATE = "user:deactivate", "Person deactivated"
    USER_REACTIVATE = "user:reactivate", "Person reactivated"
    USER_CHANGE_PASSWORD = "user:change_password", "Password changed"
    GROUP_CHANGE = "group:change", "Group changed"

    MFA_BEGIN_SET_UP = "mfa:begin_set_up", "MFA set-up begun"
    MFA_SET_UP = "mfa:set_up", "MFA turned on"
    MFA_VERIFY = "mfa:verify", "MFA verified"
    MFA_REFUSE = "mfa:refuse", "MFA code refused"
    MFA_THROTTLE = "mfa:throttle", "MFA attempts held off"
    MFA_CLOSE_WINDOW = "mfa:close_window", "Verified window closed"
    MFA_RESET = "mfa:reset", "MFA reset"
    MFA_REMIND = "mfa:remind", "Reminded to set up MFA"
    MFA_LOCK_OUT = "mfa:lock_out", "30-day limit of codes reached"
    MFA_LIFT_LOCKOUT = "mfa:lift_lockout", "30-day limit of codes lifted"
    MFA_MAKE_RECOVERY_CODES = "mfa:make_recovery_codes", "Recovery codes made"
    MFA_FORGET_BROWSER = "mfa:forget_browser", "Known browser forgotten"
    MFA_ROTATE_KEYS = "mfa:rotate_keys", "Secrets sealed with the newest key"

    FLOW_CREATE = "flow:create", "Access flow created"
    FLOW_CHANGE = "flow:change", "Access flow changed"
    FLOW_ACTIVATE = "flow:activate", "Access flow activated"
    FLOW_DEACTIVATE = "flow:deactivate", "Access flow deactivated"
    FLOW_DELETE = "flow:delete", "Access flow deleted"

    INTEGRATION_CREATE = "integration:create", "Integration added"
    INTEGRATION_CHANGE = "integration:change", "Integration changed"
    INTEGRATION_CHECK = "integration:check", "Integration checked"
    INTEGRATION_DISCOVER = "integration:discover", "Resources read from integration"
    INTEGRATION_DISABLE = "integration:disable", "Integration disabled"
    INTEGRATION_CANARY = "integration:canary", "Canary run on integration"
    INTEGRATION_DELETE = "integration:delete", "Integration deleted"

    REQUEST_SUBMIT = "request:submit", "Access requested"
    REQUEST_AWAIT_MFA = "request:await_mfa", "Request pending_mfa for MFA"
    REQUEST_RELEASE = "request:release", "Request released by MFA"
    REQUEST_APPROVE = "request:approve", "Request approved"
    REQUEST_VOID_APPROVAL = "request:void_approval", "Approval void"
    REQUEST_REOPEN = "request:reopen", "Request waits for approval again"
    REQUEST_REJECT = "request:reject", "Request rejected"
    REQUEST_CANCEL = "request:cancel", "Request cancelled"
    REQUEST_LAPSE = "request:lapse", "Request lapsed"
    REQUEST_GRANT = "request:grant", "Activation begun"
    REQUEST_ACTIVATE = "request:activate", "Access opened"
    REQUEST_FAIL = "request:fail", "Activation failed"
    REQUEST_REMIND = "request:remind", "Reminded of the end"
    REQUEST_ESCALATE = "request:escalate", "Further group asked to decide"
    REQUEST_ASK_EXTENSION = "request:ask_extension", "Extension asked for"
    REQUEST_EXTEND = "request:extend", "Access extended"
    REQUEST_REFUSE_EXTENSION = "request:refuse_extension", "Access not extended"
    REQUEST_END = "request:end", "End of access begun"
    REQUEST_EXPIRE = "request:expire", "Access expired"
    REQUEST_REVOKE = "request:revoke", "Access revoked"

    GRANT_ACTIVATE = "grant:activate", "Login created on target"
    GRANT_REVEAL = "grant:reveal", "Credential shown"
    GRANT_RESET = "grant:reset", "Credential replaced"
    GRANT_CONTAIN = "grant:contain", "Access cut on target"
    GRANT_PROVE = "grant:prove", "End proven on target"
    GRANT_RETRY = "grant:retry", "Target did not do as asked"
    GRANT_FIND_OWNED_OBJECTS = "grant:find_owned_objects", "Things left behind found on target"
    GRANT_DRIFT = "grant:drift", "Login on target differs"
    GRANT_MEND = "grant:mend", "Login on target is as it should be again"
    GRANT_CUT_UNKNOWN = "grant:cut_unknown", "Unknown login removed from target"

    NOTIFICATION_CHOOSE = "notification:choose", "Notices by mail chosen"
    WEBHOOK_CREATE = "webhook:create", "Webhook added"
    WEBHOOK_CHANGE = "webhook:change", "Webhook changed"
    WEBHOOK_REPLACE_SECRET = "webhook:replace_secret", "Webhook secret replaced"
    WEBHOOK_TEST = "webhook:test", "Test sent to webhook"
    WEBHOOK_DELETE = "webhook:delete", "Webhook deleted"
    DELIVERY_SEND_AGAIN = "delivery:send_again", "Delivery sent again"

    AUDIT_EXPORT = "audit:export", "Records exported"
    AUDIT_ASK_VERIFY = "audit:ask_verify", "Verification of the audit log asked for"
    AUDIT_VERIFY = "audit:verify", "Audit log verified"
    AUDIT_PRUNE = "audit:prune", "Old events removed"


LABELS = {str(value): str(label) for value, label in EventName.choices}


def event_choices() -> list[tuple[str, str]]:
    """Return the vocabulary as a function, so that a new word needs no migration."""
    return EventName.choices


# What an auditor's eye should stop at.
TROUBLE = frozenset(
    {
        EventName.SESSION_SIGN_IN_FAIL,
        EventName.SESSION_LOCK,
        EventName.MFA_REFUSE,
        EventName.MFA_THROTTLE,
        EventName.REQUEST_FAIL,
        EventName.GRANT_RETRY,
        EventName.GRANT_DRIFT,
        EventName.GRANT_CUT_UNKNOWN,
    }
)
