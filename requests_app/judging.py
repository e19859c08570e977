"""What an approver is told beside a request: why it is their turn, who asks, and a mark of what was shown."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import CharField, Exists, OuterRef, Q, Value

from accessflows.models import AccessFlow, EscalationTier
from accessflows.policies import NAMED_PEOPLE
from requests_app.models import AccessRequest, RequestedTarget, Status

LOOK_BACK = timedelta(days=30)
MOST_NAMES = 5
MOST_PEOPLE = 100  # looked at: a group may have a great many
MOST_REQUESTS = 5
MOST_COUNTED = 1000


@dataclass(frozen=True)
class WhyYou:
    """``groups`` of the approver, the ``rule`` of the flow, and who is asked, too."""

    groups: str
    rule: str
    others: str


@dataclass(frozen=True)
class History:
    """What the requester has asked for lately: counted as a whole, and the last ones the approver may see."""

    asked: int
    rejected: int
    same_flow: int
    last: list[AccessRequest]


def why_you(request: AccessRequest, user: Any) -> WhyYou | None:
    """Two queries, however many people are asked."""
    flow = request.flow
    if flow is None:
        return None
    sets = _sets_asked(request, user)
    mine = [label for _, label, is_mine in sets if is_mine]
    people = _people_asked(flow, [pk for pk, _, _ in sets])
    left_out = {user.pk} if flow.allow_self_approval else {user.pk, request.requester_id}
    others = {each for each in people if each[0] not in left_out}
    has_more = len(people) == MOST_PEOPLE
    return WhyYou(", ".join(mine), rule_of(request), _names(others, has_more=has_more))


def _sets_asked(request: AccessRequest, user: Any) -> list[tuple[int, str, bool]]:
    """Return number and name of each group that is asked, and whether the person is in it. If the
    person is named, the people who are come last, under no number."""
    flow: Any = AccessFlow
    at_first = flow.approver_groups.through.objects.filter(accessflow=request.flow_id)
    later = EscalationTier.objects.filter(
        flow=request.flow_id or 0, position__lte=request.escalation_tier
    )
    asked = Q(pk__in=at_first.values("group")) | Q(pk__in=later.order_by().values("group"))
    memberships: Any = get_user_model().groups.through
    own = memberships.objects.filter(group=OuterRef("pk"), user=user.pk)
    groups = Group.objects.filter(asked).annotate(is_mine=Exists(own)).order_by()
    named = flow.approver_users.through.objects.filter(accessflow=request.flow_id, user=user.pk)
    label = Value(NAMED_PEOPLE, output_field=CharField())
    both = groups.values_list("pk", "name", "is_mine").union(
        named.values_list(Value(0), label, Value(True)),  # noqa: FBT003
        all=True,
    )
    return sorted(both, key=lambda each: (each[0] == 0, each[1]))


def _people_asked(flow: AccessFlow, groups: list[int]) -> list[tuple[int, str]]:
    """Return number and name of the active people who are asked, of `MOST_PEOPLE` at most. Who is
    asked twice may come twice."""
    memberships: Any = get_user_model().groups.through
    named: Any = type(flow).approver_users.through
    members = memberships.objects.filter(group__in=groups, user__is_active=True)
    by_name = named.objects.filter(accessflow=flow.pk, user__is_active=True)
    columns = ("user_id", "user__name")
    both = members.values_list(*columns).union(by_name.values_list(*columns), all=True)
    return list(both[:MOST_PEOPLE])


def rule_of(request: AccessRequest) -> str:
    """Say how many approvals open it."""
    needed = request.approvals_required
    if request.approval == AccessFlow.Approval.ALL_OF:
        return "one from each group" if needed == 1 else f"{needed} from each group"
    return "one is enough" if needed == 1 else f"{needed} of a group are needed"


def history_of(request: AccessRequest, viewer: Any, now: datetime) -> History:
    """Count all of it; name what the viewer may see. One query; targets are for the page to read."""
    visible = AccessRequest.objects.visible_to(viewer).filter(pk=OuterRef("pk"))
    earlier = AccessRequest.objects.filter(requester=request.requester_id or 0)
    earlier = earlier.exclude(pk=request.pk).annotate(is_visible=Exists(visible)).order_by("-pk")
    found: list[Any] = list(earlier.only("status", "flow", "created_at")[:MOST_COUNTED])
    lately = [each for each in found if each.created_at > now - LOOK_BACK]
    return History(
        asked=len(lately),
        rejected=sum(each.status == Status.REJECTED for each in lately),
        same_flow=sum(each.flow_id == request.flow_id for each in lately),
        last=[each for each in found if each.is_visible][:MOST_REQUESTS],
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


def _names(people: set[tuple[int, str]], *, has_more: bool) -> str:
    names = sorted(name for _, name in people)
    more = len(names) - MOST_NAMES
    if more <= 0:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMES])} and {'many' if has_more else more} more"
