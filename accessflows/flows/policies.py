"""Who can request through a flow, who can decide, and when an approval is reached."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import Exists, QuerySet

from accessflows.models import AccessFlow

if TYPE_CHECKING:
    from apono_portal.users.models import User

APPROVE = "approve"
NAMED_USERS = "Named users"


class ApproverSet(NamedTuple):
    """An approver group, or all approvers named one by one; ``members`` are ids of active users."""

    label: str
    members: frozenset[int]


class DecisionLike(Protocol):
    """The part of a decision that approval depends on."""

    verdict: str

    @property
    def approver_id(self) -> int | None: ...


def can_request(flow: AccessFlow, user: "User") -> bool:
    """Tell whether the flow is active and this user, active now, is one of its requesters."""
    flows = AccessFlow.objects.requestable_by(user).filter(pk=flow.pk)
    return user.is_active and flows.filter(Exists(_active_users().filter(pk=user.pk))).exists()


def flow_for(pk: int, user: "User") -> tuple[AccessFlow | None, bool]:
    """Return a flow as stored, None if deleted, and whether the user `can_request` through it."""
    flow = AccessFlow.objects.filter(pk=pk).first()
    return flow, flow is not None and can_request(flow, user)


def approver_sets(flow: AccessFlow) -> list[ApproverSet]:
    """Return one set per approver group, and one for all users named; an empty set means nobody."""
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return []
    sets = [_set_of(group) for group in flow.approver_groups.order_by("name")]
    if named := set(flow.approver_users.values_list("pk", flat=True)):
        active = _active_users().filter(pk__in=named).values_list("pk", flat=True)
        sets.append(ApproverSet(NAMED_USERS, frozenset(active)))
    return sets


def escalation_sets(flow: AccessFlow, tier: int) -> list[ApproverSet]:
    """Return the groups that may also decide once a request was escalated as far as ``tier``."""
    if not tier or flow.approval == AccessFlow.Approval.AUTOMATIC:
        return []
    tiers = flow.escalation_tiers.filter(position__lte=tier).select_related("group")
    return [_set_of(escalation.group) for escalation in tiers]


def can_decide(flow: AccessFlow, user: "User", requester: "User | None", *, tier: int = 0) -> bool:
    """Tell whether an active user is an approver of the flow, and not the requester unless allowed."""
    if not user.is_active or (user == requester and not flow.allow_self_approval):
        return False
    sets = [*approver_sets(flow), *escalation_sets(flow, tier)]
    return any(user.pk in approvers.members for approvers in sets)


def approval_met(
    flow: AccessFlow,
    decisions: Iterable[DecisionLike],
    *,
    requester_id: int | None = None,
    tier: int = 0,
) -> bool:
    """Tell whether these decisions approve the request now. Only active approvers count.

    A set is met by ``approvals_required`` different members of it. "Any one": one set is met. "One from
    each group": every set is met, so an empty set never is, and one user may count for every group
    they are in. Where a request was escalated, each member of an escalation group may stand in for one
    missing approval.
    """
    if flow.approval == AccessFlow.Approval.AUTOMATIC:
        return True
    sets = [approvers.members for approvers in approver_sets(flow)]
    further = frozenset().union(*(group.members for group in escalation_sets(flow, tier)))
    approved = {one.approver_id for one in decisions if one.verdict == APPROVE}
    if requester_id is not None and not flow.allow_self_approval:
        approved.discard(requester_id)
    needed = flow.approvals_required
    if flow.approval == AccessFlow.Approval.ALL_OF:
        missing = sum(max(needed - len(approved & members), 0) for members in sets)
        stand_ins = (approved & further) - frozenset().union(*sets)
        return bool(sets) and missing <= len(stand_ins)
    return any(len(approved & (members | further)) >= needed for members in sets)


def _set_of(group: Group) -> ApproverSet:
    members = _active_users().filter(groups=group).values_list("pk", flat=True)
    return ApproverSet(group.name, frozenset(members))


def _active_users() -> "QuerySet[User]":
    users: QuerySet[User] = get_user_model()._default_manager.filter(is_active=True)
    return users
