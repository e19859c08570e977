"""What an approver is told beside a request: why it is their turn, who asks, and a mark of what was shown."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import CharField, Exists, OuterRef, QuerySet, Value

from accessflows.flows.policies import NAMED_PEOPLE
from accessflows.models import AccessFlow, EscalationTier
from apono_portal.core.db.prepared import prepared
from requests_app.models import AccessRequest, RequestedTarget, Status

LOOK_BACK = timedelta(days=30)
MOST_NAMES = 5
MOST_PEOPLE = 100  # looked at: a group may have a great many
MOST_REQUESTS = 5
MOST_COUNTED = 1000


@dataclass(frozen=True)
class ApproverReason:
    """``groups`` of the approver, the ``rule`` of the flow, and who is asked, too."""

    groups: str
    rule: str
    others: str


@dataclass(frozen=True)
class RequesterHistory:
    """What the requester has asked for lately: counted as a whole, and the last ones the approver may see."""

    asked: int
    rejected: int
    same_flow: int
    last: list[AccessRequest]


def approver_reason(request: AccessRequest, user: Any) -> ApproverReason | None:
    """Two queries, however many people are asked."""
    flow = request.flow
    if flow is None:
        return None
    sets = _sets_asked(request, user)
    mine = [label for _, label, is_mine in sets if is_mine]
    people = _people_asked(flow.pk, [pk for pk, _, _ in sets])
    left_out = {user.pk} if flow.allow_self_approval else {user.pk, request.requester_id}
    others = {each for each in people if each[0] not in left_out}
    has_more = len(people) == MOST_PEOPLE
    return ApproverReason(", ".join(mine), rule_of(request), _names(others, has_more=has_more))


def _sets_asked(request: AccessRequest, user: Any) -> list[tuple[int, str, bool]]:
    """Return number and name of each group that is asked, and whether the person is in it. If the
    person is named, the people who are come last, under no number."""
    asked = {
        (pk, name, is_mine)
        for pk, name, is_mine, position in _sets(request.flow_id, user.pk)
        if position <= request.escalation_tier
    }
    return sorted(asked, key=lambda each: (each[0] == 0, each[1]))


@prepared(int, int)
def _sets(flow_id: int, user_id: int) -> QuerySet[Any, Any]:
    """The same whatever its turn, each with the tier from which it is asked."""
    flow: Any = AccessFlow
    memberships: Any = get_user_model().groups.through
    own = memberships.objects.filter(group=OuterRef("group"), user=user_id)
    first = flow.approver_groups.through.objects.filter(accessflow=flow_id)
    later = EscalationTier.objects.filter(flow=flow_id).order_by()
    named = flow.approver_users.through.objects.filter(accessflow=flow_id, user=user_id)
    label = Value(NAMED_PEOPLE, output_field=CharField())
    asked: QuerySet[Any, Any] = first.values_list(
        "group_id", "group__name", Exists(own), Value(0)
    ).union(
        later.values_list("group_id", "group__name", Exists(own), "position"),
        named.values_list(Value(0), label, Value(True), Value(0)),  # noqa: FBT003
        all=True,
    )
    return asked


@prepared(int, [int])
def _people_asked(flow_id: int, groups: list[int]) -> QuerySet[Any, Any]:
    """Number and name of the active people who are asked, of `MOST_PEOPLE` at most. Who is asked twice
    may come twice."""
    memberships: Any = get_user_model().groups.through
    flow: Any = AccessFlow
    members = memberships.objects.filter(group__in=groups, user__is_active=True)
    by_name = flow.approver_users.through.objects.filter(accessflow=flow_id, user__is_active=True)
    columns = ("user_id", "user__name")
    both: QuerySet[Any, Any] = members.values_list(*columns).union(
        by_name.values_list(*columns), all=True
    )
    return both[:MOST_PEOPLE]


def rule_of(request: AccessRequest) -> str:
    """Say how many approvals open it."""
    needed = request.approvals_required
    if request.approval == AccessFlow.Approval.ALL_OF:
        return "one from each group" if needed == 1 else f"{needed} from each group"
    return "one is enough" if needed == 1 else f"{needed} of a group are needed"


def requester_history(request: AccessRequest, viewer: Any, now: datetime) -> RequesterHistory:
    """Count all of it; name what the viewer may see. One query; targets are for the page to read."""
    about = (request.requester_id or 0, request.pk)
    if viewer.can_read_everything:
        found = visible = _earlier(*about)
    else:
        found = _earlier_and_visible(*about, viewer.pk)
        visible = [each for each in found if each.is_visible]
    lately = [each for each in found if each.created_at > now - LOOK_BACK]
    return RequesterHistory(
        asked=len(lately),
        rejected=sum(each.status == Status.REJECTED for each in lately),
        same_flow=sum(each.flow_id == request.flow_id for each in lately),
        last=visible[:MOST_REQUESTS],
    )


@prepared(int, int)
def _earlier(requester_id: int, but: int) -> QuerySet[AccessRequest]:
    earlier = AccessRequest.objects.filter(requester=requester_id).exclude(pk=but)
    return earlier.order_by("-pk").only("status", "flow", "created_at")[:MOST_COUNTED]


@prepared(int, int, int)
def _earlier_and_visible(requester_id: int, but: int, viewer_id: int) -> QuerySet[AccessRequest]:
    visible = AccessRequest.objects.visible_to_member(viewer_id).filter(pk=OuterRef("pk"))
    earlier = AccessRequest.objects.filter(requester=requester_id).exclude(pk=but)
    earlier = earlier.annotate(is_visible=Exists(visible)).order_by("-pk")
    return earlier.only("status", "flow", "created_at")[:MOST_COUNTED]


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


def _names(people: set[tuple[int, str]], *, has_more: bool) -> str:
    names = sorted(name for _, name in people)
    more = len(names) - MOST_NAMES
    if more <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {'many' if has_more else more} more"
