"""The approvals queue, and what is shown of a request in it."""

from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils import timezone

from accessflows.models import Permission
from requests_app.models import AccessRequest, Decision, RequestedTarget

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from requests_app.querysets import AccessRequestQuerySet

MAX_QUEUE_ROWS = 25

Rights = list[tuple[RequestedTarget, list[str]]]


def waiting_for(user: "User") -> "AccessRequestQuerySet":
    """Return the requests that wait for a decision by this user."""
    requests = AccessRequest.objects.awaiting_decision_by(user)
    return requests.filter(pending_until__gt=timezone.now())


def count_waiting_for(user: "User") -> int:
    """Count the requests that wait for a decision by this user.

    Every page needs it. Most users approve nothing, as `with_is_approver` tells with the user.
    """
    return waiting_for(user).count() if getattr(user, "is_approver", True) else 0


def queue_of(user: "User") -> list[AccessRequest]:
    """Return the oldest requests that wait for a decision by this user."""
    return list(waiting_for(user).select_related("flow").order_by("pk")[:MAX_QUEUE_ROWS])


def request_to_decide(user: "User", pk: int) -> AccessRequest | None:
    """Return a request the user may decide on, whatever its status."""
    requests = AccessRequest.objects.decidable_by(user).select_related("flow")
    return requests.filter(pk=pk).first()


def decisions_by(user: "User") -> QuerySet[Decision]:
    """Return a user's own decisions, newest first."""
    decisions = Decision.objects.filter(approver=user).select_related("request").order_by("-pk")
    return decisions.prefetch_related("request__targets")


def rights_of(request: AccessRequest) -> Rights:
    """Return each target of a request with what its permission allows, as discovered last."""
    targets = list(request.targets.all())
    permissions = Permission.objects.present().filter(
        integration__in={target.integration_id for target in targets if target.integration_id},
        name__in={target.permission for target in targets},
    )
    by_name = {
        (permission.integration_id, permission.name): permission for permission in permissions
    }
    rights = []
    for target in targets:
        permission = by_name.get((target.integration_id or 0, target.permission))
        rights.append((target, permission.rights_on(target.resource) if permission else []))
    return rights
