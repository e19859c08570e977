"""What an approver is told beside a request: why it is their turn, who asks, and a mark of what was shown."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model

from accessflows.models import AccessFlow
from accessflows.policies import approver_sets, further_sets
from requests_app.models import AccessRequest, RequestedTarget, Status
from requests_app.presentation import roles_of, title_of

LOOK_BACK = timedelta(days=30)
MOST_NAMES = 5
MOST_REQUESTS = 5


@dataclass(frozen=True)
class WhyYou:
    """``groups`` of the approver, the ``rule`` of the flow, and who is asked, too."""

    groups: str
    rule: str
    others: str


@dataclass(frozen=True)
class Earlier:
    """An earlier request of the same person, which the approver may see."""

    request: AccessRequest
    title: str
    roles: str


@dataclass(frozen=True)
class History:
    """What the requester has asked for lately: counted as a whole, and the last ones by name."""

    asked: int
    rejected: int
    same_flow: int
    last: list[Earlier]


def why_you(request: AccessRequest, user: Any) -> WhyYou | None:
    if request.flow is None:
        return None
    sets = [*approver_sets(request.flow), *further_sets(request.flow, request.escalation_tier)]
    mine = [each.label for each in sets if user.pk in each.members]
    others = frozenset().union(*(each.members for each in sets)) - {user.pk}
    if not request.flow.allow_self_approval:
        others -= {request.requester_id or 0}
    return WhyYou(", ".join(mine), rule_of(request), _names(others))


def rule_of(request: AccessRequest) -> str:
    """Say how many approvals open it."""
    needed = request.approvals_required
    if request.approval == AccessFlow.Approval.ALL_OF:
        return "one from each group" if needed == 1 else f"{needed} from each group"
    return "one is enough" if needed == 1 else f"{needed} of a group are needed"


def history_of(request: AccessRequest, viewer: Any, now: datetime) -> History:
    """Count all of it; name what the viewer may see."""
    earlier = AccessRequest.objects.filter(requester=request.requester_id or 0).exclude(
        pk=request.pk
    )
    lately = list(
        earlier.filter(created_at__gt=now - LOOK_BACK).values_list("status", "flow_id")[:1000]
    )
    last = earlier.visible_to(viewer).prefetch_related("targets").order_by("-pk")
    return History(
        asked=len(lately),
        rejected=sum(status == Status.REJECTED for status, _ in lately),
        same_flow=sum(flow == request.flow_id for _, flow in lately),
        last=[
            Earlier(each, title_of(each), ", ".join(roles_of(each)))
            for each in last[:MOST_REQUESTS]
        ],
    )


def mark_of(request: AccessRequest, rights: Iterable[tuple[RequestedTarget, list[str]]]) -> str:
    """Return a hash of what is shown: terms, wishes, rights and evidence. An approval is bound to it."""
    shown = {
        "request": request.pk,
        "flow": request.flow_fingerprint,
        "duration_s": request.duration.total_seconds(),
        "justification": request.justification,
        "ticket": request.ticket,
        "rights": [[str(target), sentences] for target, sentences in rights],
        "verification": request.verification_id,
    }
    canonical = json.dumps(shown, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _names(people: frozenset[int]) -> str:
    found = get_user_model()._default_manager.filter(pk__in=people).order_by("name")
    names = [str(each).partition(" <")[0] for each in found[:MOST_NAMES]]
    more = len(people) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")
