"""The kinds of notifications that users and webhooks choose from."""

from django.db import models


class Kind(models.TextChoices):
    """What a notification is about, labelled for the page where it is chosen."""

    DECISION_NEEDED = "decision_needed", "A request needs your decision"
    ESCALATED = "escalated", "A request was escalated to you"
    HANDLED = "handled", "Someone else decided"
    CODE_NEEDED = "code_needed", "A request needs your MFA code again"
    DECIDED = "decided", "A request was approved or rejected"
    CLOSED = "closed", "A request lapsed or was cancelled"
    ACTIVE = "active", "Access is active"
    EXTENDED = "extended", "Access was extended"
    EXPIRES_SOON = "expires_soon", "Access expires soon"
    ENDED = "ended", "Access expired or was revoked"
    FAILED = "failed", "Access could not be granted"
    BREAK_GLASS = "break_glass", "Break-glass access was used or reviewed"
    CHANGE = "change", "A change that weakens protection was proposed or decided"
    REVOCATION_DELAYED = "revocation_delayed", "A revocation is delayed by its target"
    DRIFT = "drift", "Drift was detected on a target"
    INTEGRATION = "integration", "An integration needs attention"
    SECURITY = "security", "MFA, passwords and sign-ins"
    TAMPERING = "tampering", "A record was changed outside the portal"
    TEST = "test", "Test"


# Kinds a user may opt out of, by role in the request. Emails about security, tampering,
# break-glass access and changes that weaken protection are always sent.
REQUESTER_KINDS = (
    Kind.CODE_NEEDED,
    Kind.DECIDED,
    Kind.CLOSED,
    Kind.ACTIVE,
    Kind.EXTENDED,
    Kind.EXPIRES_SOON,
    Kind.ENDED,
    Kind.FAILED,
)
APPROVER_KINDS = (Kind.DECISION_NEEDED, Kind.ESCALATED, Kind.HANDLED)
ADMIN_KINDS = (Kind.REVOCATION_DELAYED, Kind.DRIFT, Kind.INTEGRATION)
OPTIONAL_KINDS = frozenset((*REQUESTER_KINDS, *APPROVER_KINDS, *ADMIN_KINDS))
# A webhook gets one delivery per event, so none for approvers who no longer need to decide.
WEBHOOK_KINDS = tuple(kind for kind in Kind if kind not in {Kind.HANDLED, Kind.TEST})
