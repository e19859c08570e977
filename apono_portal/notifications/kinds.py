"""What one can be told of, by mail and by webhook."""

from django.db import models


class Kind(models.TextChoices):
    """The kinds of notices, in the words in which people choose them."""

    DECISION_NEEDED = "decision_needed", "A request waits for a decision"
    ESCALATED = "escalated", "A request was passed on to further approvers"
    HANDLED = "handled", "Somebody else has decided"
    CODE_NEEDED = "code_needed", "A request waits for a code again"
    DECIDED = "decided", "A request was approved or rejected"
    CLOSED = "closed", "A request lapsed or was cancelled"
    ACTIVE = "active", "Access is open"
    EXTENDED = "extended", "Access was extended"
    ENDS_SOON = "ends_soon", "Access ends soon"
    ENDED = "ended", "Access has ended"
    FAILED = "failed", "Access could not be opened"
    STUCK = "stuck", "An end is held up by its target"
    DRIFT = "drift", "Logins on a target differ from what the portal knows"
    TARGET = "target", "An integration needs attention"
    SECURITY = "security", "MFA, passwords and sign-ins"
    TEST = "test", "A test"


# What a person may choose by mail, by why it concerns them. Security is not among them.
OF_REQUESTERS = (
    Kind.CODE_NEEDED,
    Kind.DECIDED,
    Kind.CLOSED,
    Kind.ACTIVE,
    Kind.EXTENDED,
    Kind.ENDS_SOON,
    Kind.ENDED,
    Kind.FAILED,
)
OF_APPROVERS = (Kind.DECISION_NEEDED, Kind.ESCALATED, Kind.HANDLED)
OF_ADMINS = (Kind.STUCK, Kind.DRIFT, Kind.TARGET)
CHOSEN_BY_MAIL = frozenset((*OF_REQUESTERS, *OF_APPROVERS, *OF_ADMINS))
# A webhook is told once for each thing, so not that somebody else has decided.
FOR_WEBHOOKS = tuple(kind for kind in Kind if kind not in {Kind.HANDLED, Kind.TEST})
