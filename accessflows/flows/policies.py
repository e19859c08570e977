"""Who can request through a flow, who can decide, and when an approval is reached."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from django.contrib.auth import get_user_model
from django.db.models import Exists, Value

from accessflows.models import AccessFlow, EscalationTier

if TYPE_CHECKING:
    from apono_portal.users.models import User

APPROVE = "approve"
NAMED_USERS = "Named users"


@dataclass(frozen=True)
class ApproverSet:
    """An approver group, or all approvers named one by one; ``names`` of active users by their id."""

    label: str
    names: dict[int, str] = field(default_factory=dict)

    @property
    def members(self) -> frozenset[int]:
        return frozenset(self.names)


@dataclass(frozen=True)
class FlowApprovers:
    """Who decides through a flow: its approver sets, then by position who also may after escalation.

    ``names`` lists groups and users as the flow names them, active or not.
    """

    sets: list[ApproverSet] = field(default_factory=list)
    tiers: dict[int, ApproverSet] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def escalated_to(self, tier: int) -> list[ApproverSet]:
        return [group for position, group in self.tiers.items() if position <= tier]


class DecisionLike(Protocol):
    """The part of a decision that approval depends on."""

    verdict: str

    @property
    def approver_id(self) -> int | None: ...


def can_request(flow: AccessFlow, user: "User") -> bool:
    """Tell whether the flow is active and this user, active now, is one of its requesters."""
    return user.is_active and bool(requestable_ids([flow.pk], user))


def requestable_ids(flow_ids: Collection[int], user: "User") -> set[int]:
    """Return those of the flows that are active and name this user, active now, as requester."""
    active = get_user_model()._default_manager.filter(pk=user.pk, is_active=True)
    flows = AccessFlow.objects.requestable_by(user).filter(Exists(active), pk__in=flow_ids)
    return set(flows.order_by().values_list("pk", flat=True))


def approvers_of(flows: Iterable[AccessFlow]) -> dict[int, FlowApprovers]:
    """Return who decides through each flow, by its id. One statement, however many flows and groups.

    An automatic flow has no approvers. A set without members means nobody.
    """
    flows = list(flows)
    approvers = {flow.pk: FlowApprovers() for flow in flows}
    manual = [flow.pk for flow in flows if flow.approval != AccessFlow.Approval.AUTOMATIC]
    one_set = itemgetter(0, 1, 2, 3, 4)
    for key, rows in groupby(sorted(_approver_rows(manual), key=one_set), key=one_set):
        flow_id, position, is_named, label, _ = key
        users = list(rows)
        of_flow = approvers[flow_id]
        approver_set = ApproverSet(label, {u.user_id: u.name for u in users if u.is_active})
        if position:
            of_flow.tiers[position] = approver_set
            continue
        of_flow.sets.append(approver_set)
        of_flow.names.extend(sorted(user.name for user in users) if is_named else [label])
    return approvers


def approver_sets(flow: AccessFlow) -> list[ApproverSet]:
    """Return one set per approver group, and one for all users named."""
    return approvers_of([flow])[flow.pk].sets


def escalation_sets(flow: AccessFlow, tier: int) -> list[ApproverSet]:
    """Return the groups that may also decide once a request was escalated as far as ``tier``."""
    return approvers_of([flow])[flow.pk].escalated_to(tier)


def can_decide(flow: AccessFlow, user: "User", requester: "User | None", *, tier: int = 0) -> bool:
    """Tell whether an active user is an approver of the flow, and not the requester unless allowed."""
    if not user.is_active or (user == requester and not flow.allow_self_approval):
        return False
    approvers = approvers_of([flow])[flow.pk]
    return any(user.pk in group.names for group in [*approvers.sets, *approvers.escalated_to(tier)])


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
    approved = {one.approver_id for one in decisions if one.verdict == APPROVE}
    if requester_id is not None and not flow.allow_self_approval:
        approved.discard(requester_id)
    return bool(approved) and is_met_by(approved, flow, approvers_of([flow])[flow.pk], tier=tier)


def is_met_by(
    approved: Collection[int | None], flow: AccessFlow, approvers: FlowApprovers, *, tier: int
) -> bool:
    """Tell whether the approvals of these users suffice (`approval_met`)."""
    sets = [group.members for group in approvers.sets]
    further = frozenset().union(*(group.members for group in approvers.escalated_to(tier)))
    needed, approved = flow.approvals_required, frozenset(approved)
    if flow.approval == AccessFlow.Approval.ALL_OF:
        missing = sum(max(needed - len(approved & members), 0) for members in sets)
        stand_ins = (approved & further) - frozenset().union(*sets)
        return bool(sets) and missing <= len(stand_ins)
    return any(len(approved & (members | further)) >= needed for members in sets)


class _ApproverRow(NamedTuple):
    flow_id: int
    position: int  # of the escalation tier; 0 without
    is_named: int
    label: str
    group_id: int
    user_id: int  # None in the one row of a group without members
    name: str
    is_active: bool


def _approver_rows(flow_ids: Collection[int]) -> list[_ApproverRow]:
    """Return a row for each approver and each escalation approver of these flows."""
    if not flow_ids:
        return []
    groups = AccessFlow.approver_groups.through._default_manager.filter(accessflow__in=flow_ids)
    users = AccessFlow.approver_users.through._default_manager.filter(accessflow__in=flow_ids)
    tiers = EscalationTier.objects.filter(flow__in=flow_ids).order_by()
    group = ("group__name", "group", "group__user", "group__user__name", "group__user__is_active")
    user = (Value(NAMED_USERS), Value(0), "user", "user__name", "user__is_active")
    rows = groups.values_list("accessflow", Value(0), Value(0), *group).union(
        users.values_list("accessflow", Value(0), Value(1), *user),
        tiers.values_list("flow", "position", Value(0), *group),
        all=True,
    )
    return [_ApproverRow(*row) for row in rows]
