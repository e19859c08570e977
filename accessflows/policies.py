"""Who may ask through a flow, who may decide, and when a decision is reached."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

from django.contrib.auth import get_user_model

from accessflows.models import AccessFlow

APPROVE = "approve"
NAMED_PEOPLE = "Named people"


class ApproverSet(NamedTuple):
    """A group of approvers, or the people named one by one; ``members`` are ids of active people."""

    label: str
    members: frozenset[int]


class DecisionLike(Protocol):
    """What approval needs to know of a decision."""

    verdict: str

    @property
    def approver_id(self) -> int | None: ...


def may_request(flow: AccessFlow, user: Any) -> bool:
    """Is the flow active, and is this active person a requestor by name or by group?"""
    if not user.is_active:
        return False
    return AccessFlow.objects.requestable_by(user).filter(pk=flow.pk).exists()


def approver_sets(flow: AccessFlow) -> list[ApproverSet]:
    """Return one set per approver group, and one for all people named; an empty set means nobody."""
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return []
    people = get_user_model()._default_manager.filter(is_active=True)
    sets = [
        ApproverSet(group.name, frozenset(people.filter(groups=group).values_list("pk", flat=True)))
        for group in flow.approver_groups.order_by("name")
    ]
    if named := set(flow.approver_users.values_list("pk", flat=True)):
        active = people.filter(pk__in=named).values_list("pk", flat=True)
        sets.append(ApproverSet(NAMED_PEOPLE, frozenset(active)))
    return sets


def may_decide(flow: AccessFlow, user: Any, requester: Any) -> bool:
    """Is this active person an approver of the flow, and not the requester unless the flow says so?"""
    if not user.is_active or (user == requester and not flow.allow_self_approval):
        return False
    return any(user.pk in each.members for each in approver_sets(flow))


def approval_met(
    flow: AccessFlow, decisions: Iterable[DecisionLike], *, requester_id: int | None = None
) -> bool:
    """Do these decisions open the flow now? Only who still is an active approver counts.

    Any one: one approval from any set. One from each group: one approval from every set, so an empty
    set is never met, and one person may stand for every group that person is in.
    """
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return True
    sets = approver_sets(flow)
    approved = {each.approver_id for each in decisions if each.verdict == APPROVE}
    if requester_id is not None and not flow.allow_self_approval:
        approved.discard(requester_id)
    met = [not approved.isdisjoint(each.members) for each in sets]
    return bool(met) and (all(met) if flow.approval == AccessFlow.Approval.ALL_OF else any(met))
