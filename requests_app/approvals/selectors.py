"""The approvals queue."""

from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, QuerySet, Window
from django.utils import timezone

from accessflows.models import Permission
from apono_portal.core.db.prepared import prepared
from requests_app.models import AccessRequest, Decision, RequestedTarget

QUEUE_SHOWN = 25


def request_to_decide(user: Any, pk: int) -> AccessRequest | None:
    """Return a request through a flow that names the person as approver; an own one if it allows."""
    found = AccessRequest.objects.decidable_by(user).select_related("flow")
    return found.filter(pk=pk).first()


class Queue(NamedTuple):
    """The oldest requests that wait for a person's decision, and how many wait in all."""

    oldest: list[AccessRequest]
    waiting: int

    def find(self, pk: int) -> AccessRequest | None:
        return next((each for each in self.oldest if each.pk == pk), None)


def queue_of(user: Any) -> Queue:
    """One query."""
    found = _queue(user.pk, timezone.now())
    return Queue(found, found[0].waiting if found else 0)


@prepared(int, datetime)
def _queue(user_id: int, now: datetime) -> QuerySet[AccessRequest]:
    waiting = AccessRequest.objects.awaiting_decision_by(user_id).filter(pending_until__gt=now)
    counted = waiting.select_related("flow").annotate(waiting=Window(Count("pk")))
    return counted.order_by("pk")[:QUEUE_SHOWN]


def decided_by(user: Any) -> QuerySet[Decision]:
    """Return a person's own decisions, the latest first."""
    decisions = Decision.objects.filter(approver=user).select_related("request").order_by("-pk")
    return decisions.prefetch_related("request__targets")


def rights_of(request: AccessRequest) -> list[tuple[RequestedTarget, list[str]]]:
    """Return each target of a request with what it lets one do now, as the target itself says."""
    targets = list(request.targets.all())
    integrations = {target.integration_id for target in targets if target.integration_id}
    names = {target.permission for target in targets}
    offered = _permissions(integrations, names) if integrations else []
    known = {(each.integration_id, each.name): each for each in offered}
    found = [(each, known.get((each.integration_id or 0, each.permission))) for each in targets]
    return [
        (target, permission.rights_on(target.resource) if permission else [])
        for target, permission in found
    ]


@prepared([int], [str])
def _permissions(integrations: list[int], names: list[str]) -> QuerySet[Permission]:
    return Permission.objects.present().filter(integration__in=integrations, name__in=names)
