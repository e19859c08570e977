"""Who may ask through a flow, who may decide, and when a decision is reached."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Exists, OuterRef, QuerySet

from accessflows.models import AccessFlow
from apono_portal.core.db.prepared import prepared

APPROVE = "approve"
NAMED_USERS = "Named people"


class ApproverSet(NamedTuple):
    """A group of approvers, or the people named one by one; ``members`` are ids of active people."""

    label: str
    members: frozenset[int]


class DecisionLike(Protocol):
    """What approval needs to know of a decision."""

    verdict: str

    @property
    def approver_id(self) -> int | None: ...


def can_request(flow: AccessFlow, user: Any) -> bool:
    """Is the flow active, and is this person, active now, a requester by name or by group?"""
    return user.is_active and _requestable.first(flow.pk, user.pk) is not None


def flow_for(pk: int, user: Any) -> tuple[AccessFlow | None, bool]:
    """Return a flow as stored, None if it is gone, and whether the person `can_request` through it."""
    flow = _flow_for.first(pk, user.pk)
    return flow, flow is not None and user.is_active and flow.may_be_asked_for


@prepared(int, int)
def _flow_for(flow_id: int, user_id: int) -> QuerySet[AccessFlow]:
    mine = _requestable_flows(user_id).filter(pk=OuterRef("pk"))
    return AccessFlow.objects.filter(pk=flow_id).annotate(may_be_asked_for=Exists(mine)).order_by()


@prepared(int, int)
def _requestable(flow_id: int, user_id: int) -> QuerySet[Any, Any]:
    flows = _requestable_flows(user_id).filter(pk=flow_id)
    return flows.order_by().values_list("pk", flat=True)


def _requestable_flows(user_id: int) -> QuerySet[AccessFlow]:
    person = get_user_model()._default_manager.filter(pk=user_id, is_active=True)
    return AccessFlow.objects.requestable_by(user_id).filter(Exists(person))


def approver_sets(flow: AccessFlow) -> list[ApproverSet]:
    """Return one set per approver group, and one for all people named; an empty set means nobody."""
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return []
    sets = [_set_of(group) for group in flow.approver_groups.order_by("name")]
    if named := set(flow.approver_users.values_list("pk", flat=True)):
        active = _active_people().filter(pk__in=named).values_list("pk", flat=True)
        sets.append(ApproverSet(NAMED_USERS, frozenset(active)))
    return sets


def escalation_sets(flow: AccessFlow, tier: int) -> list[ApproverSet]:
    """Return the groups that may decide, too, since a request was escalated as far as ``tier``."""
    if not tier or flow.approval == AccessFlow.Approval.AUTOMATIC:
        return []
    tiers = flow.escalation_tiers.filter(position__lte=tier).select_related("group")
    return [_set_of(each.group) for each in tiers]


def can_decide(flow: AccessFlow, user: Any, requester: Any, *, tier: int = 0) -> bool:
    """Is this active person an approver of the flow, and not the requester unless the flow says so?"""
    if not user.is_active or (user == requester and not flow.allow_self_approval):
        return False
    sets = [*approver_sets(flow), *escalation_sets(flow, tier)]
    return any(user.pk in each.members for each in sets)


def approval_met(
    flow: AccessFlow,
    decisions: Iterable[DecisionLike],
    *,
    requester_id: int | None = None,
    tier: int = 0,
) -> bool:
    """Do these decisions open the flow now? Only who still is an active approver counts.

    A set is met by ``approvals_required`` different people of it. Any one: one set is met. One from
    each group: every set is met, so an empty set is not, and one person may stand for every group
    that person is in. Where a request was escalated, somebody of a further group may stand in for
    an approval that is missing, once.
    """
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return True
    sets = [each.members for each in approver_sets(flow)]
    further = frozenset().union(*(each.members for each in escalation_sets(flow, tier)))
    approved = {each.approver_id for each in decisions if each.verdict == APPROVE}
    if requester_id is not None and not flow.allow_self_approval:
        approved.discard(requester_id)
    needed = flow.approvals_required
    if flow.approval == AccessFlow.Approval.ALL_OF:
        missing = sum(max(needed - len(approved & members), 0) for members in sets)
        stand_ins = (approved & further) - frozenset().union(*sets)
        return bool(sets) and missing <= len(stand_ins)
    return any(len(approved & (members | further)) >= needed for members in sets)


def _set_of(group: Group) -> ApproverSet:
    members = _active_people().filter(groups=group).values_list("pk", flat=True)
    return ApproverSet(group.name, frozenset(members))


def _active_people() -> Any:
    return get_user_model()._default_manager.filter(is_active=True)
