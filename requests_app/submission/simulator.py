"""The simulator: what would happen to a request made now, for each flow that offers the target.

It uses the evaluation of a real submission, so the two cannot differ.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

from django import forms

from accessflows.flows.choices import format_pair, parse_pair
from accessflows.flows.policies import FlowApprovers, approvers_of
from accessflows.flows.selectors import targets_by_flow
from accessflows.models import AccessFlow, FlowTarget
from accessflows.pickers import USER, PickedOneField, rows_of
from apono_portal.core.formatting.datetimes import person as name_in
from apono_portal.core.formatting.durations import format_duration
from mfa.verification.window import is_enrolled_user, with_methods
from requests_app.forms import DurationField
from requests_app.submission.evaluation import Evaluation, evaluate_all, is_approvable
from requests_app.submission.preview import preview_request
from requests_app.submission.selection import Selection

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_NAMES = 20


class SimulatorForm(forms.Form):
    """A user, a target and a duration."""

    person = PickedOneField(
        USER, label="User", required=True, error_messages={"required": "Select a user."}
    )
    target = forms.ChoiceField(
        label="Target",
        error_messages={
            "required": "Select a target.",
            "invalid_choice": "No access flow offers this target. Select one from the list.",
        },
    )
    duration = DurationField(
        label="Duration", error_messages={"required": "Enter a duration, for example 1h."}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        target = cast(forms.ChoiceField, self.fields["target"])
        target.choices = [("", "Select a target"), *_target_choices()]
        cast(PickedOneField, self.fields["person"]).queryset = with_methods(rows_of(USER))

    @property
    def target_label(self) -> str:
        """Return the selected target in words."""
        target = cast(forms.ChoiceField, self.fields["target"])
        choices = cast(list[tuple[str, str]], target.choices)
        return dict(choices).get(str(self["target"].value()), "")


@dataclass(frozen=True)
class SimulatedWindow:
    """A window in which no code was entered within the last hour."""

    enrolled: bool
    minutes_left: int = 0


@dataclass(frozen=True)
class Case:
    """The outcome through one flow. ``refusals`` is empty if the request would be accepted."""

    preview: dict[str, Any]
    flow: AccessFlow
    refusals: list[str]
    require_mfa: bool
    approvers: list[tuple[str, str]]
    is_approvable: bool


def conclusion(
    cases: Collection[Case], *, person: "User", target_label: str, duration: timedelta
) -> str:
    """Return the outcome of a simulation as a sentence."""
    request = f"{target_label} for {format_duration(duration)}"
    flows = [case.flow.name for case in cases if not case.refusals]
    if not flows:
        return f"{person.name} can't request {request}: no access flow would accept it."
    return f"{person.name} can request {request} through {' or '.join(flows)}."


def simulate(*, person: "User", target: str, duration: timedelta, now: datetime) -> list[Case]:
    """Evaluate the request through each flow that offers the target; accepted ones come first.

    The number of statements does not depend on that of the flows.
    """
    resource, permission = parse_pair(target)
    offered = FlowTarget.objects.filter(resource=resource, permission=permission)
    stored = targets_by_flow(offered.values("flow"))
    selections = [
        Selection([row], duration)
        for row in chain.from_iterable(stored.values())
        if (row.resource_id, row.permission_id) == (resource, permission)
    ]
    evaluations = evaluate_all(
        requester=person, selections=selections, verification=None, now=now, stored=stored
    )
    approvers = approvers_of(targets[0].flow for targets in stored.values())
    window = SimulatedWindow(enrolled=is_enrolled_user(person))
    cases = [
        _case(evaluation, approvers[evaluation.selection.flows[0].pk], person, window, now)
        for evaluation in evaluations
    ]
    return sorted(cases, key=lambda case: bool(case.refusals))


def _case(
    evaluation: Evaluation,
    approvers: FlowApprovers,
    requester: "User",
    window: SimulatedWindow,
    now: datetime,
) -> Case:
    [flow] = evaluation.selection.flows
    return Case(
        preview=preview_request(evaluation, approvers, requester, window, now),
        flow=flow,
        refusals=_refusals(evaluation, flow, requester),
        require_mfa=flow.require_mfa,
        approvers=_approvers(flow, approvers, requester),
        is_approvable=is_approvable(flow, approvers, requester),
    )


def _refusals(evaluation: Evaluation, flow: AccessFlow, requester: "User") -> list[str]:
    """Return the refusals, with reasons that requesters themselves are not shown."""
    reason = "" if evaluation.is_allowed else _ineligibility(flow, requester)
    return [
        (reason if refusal.field == "flow" else "") or refusal.sentence
        for refusal in evaluation.refusals
    ]


def _ineligibility(flow: AccessFlow, requester: "User") -> str:
    name = name_in(str(requester))
    if not requester.is_active:
        return f"{name} is deactivated."
    if not flow.is_active:
        return f"{flow} is deactivated."
    return f"{name} does not meet the conditions of {flow}."


def _approvers(
    flow: AccessFlow, approvers: FlowApprovers, requester: "User"
) -> list[tuple[str, str]]:
    """Return each approver set with the names of those who could decide on this user's request."""
    excluded = None if flow.allow_self_approval else requester.pk
    sets = [(approver_set.label, approver_set) for approver_set in approvers.sets]
    sets += [(f"{group.label}, after escalation", group) for group in approvers.tiers.values()]
    return [
        (label, _names([name for pk, name in group.names.items() if pk != excluded]))
        for label, group in sets
    ]


def _names(names: Collection[str]) -> str:
    more = [f"{len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return ", ".join(sorted(names)[:MAX_NAMES] + more) or "Nobody"


def _target_choices() -> list[tuple[str, str]]:
    rows = FlowTarget.objects.order_by(
        "resource__integration__name", "resource__name", "permission__name"
    ).values_list(
        "resource_id",
        "permission_id",
        "resource__integration__name",
        "resource__name",
        "permission__name",
    )
    return [
        (format_pair((resource_id, permission_id)), f"{integration} / {resource} · {permission}")
        for resource_id, permission_id, integration, resource, permission in rows.distinct()
    ]
