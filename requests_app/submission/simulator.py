"""The simulator: what would happen to a request made now, for each flow that offers the target.

It uses the evaluation of a real submission, so the two cannot differ.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.auth import get_user_model

from accessflows.flows.choices import format_pair, parse_pair
from accessflows.flows.policies import approver_sets, escalation_sets
from accessflows.models import AccessFlow, FlowTarget
from apono_portal.core.formatting.datetimes import person as name_in
from mfa.methods.selectors import is_enrolled
from requests_app.forms import DurationField
from requests_app.submission.evaluation import Evaluation, evaluate, is_approvable
from requests_app.submission.preview import preview_request
from requests_app.submission.selection import Selection

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_SUGGESTED_EMAILS = 200
MAX_NAMES = 20


class SimulatorForm(forms.Form):
    """A user, a target and a duration."""

    person = forms.CharField(
        label="User email",
        max_length=254,
        error_messages={"required": "Enter the requester's email."},
    )
    target = forms.ChoiceField(
        label="Target",
        choices=lambda: [("", "Select a target"), *_target_choices()],
        error_messages={
            "required": "Select a target.",
            "invalid_choice": "No access flow offers this target. Select one from the list.",
        },
    )
    duration = DurationField(
        label="Duration", error_messages={"required": "Enter a duration, for example 1h."}
    )

    def clean_person(self) -> "User":
        users = get_user_model()._default_manager
        user: User | None = users.filter(email__iexact=self.cleaned_data["person"].strip()).first()
        if user is None:
            raise forms.ValidationError("No user has this email.")
        return user


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


def emails_to_suggest() -> list[str]:
    users = get_user_model()._default_manager.filter(is_active=True).order_by("email")
    return list(users.values_list("email", flat=True)[:MAX_SUGGESTED_EMAILS])


def simulate(*, person: "User", target: str, duration: timedelta, now: datetime) -> list[Case]:
    """Evaluate the request through each flow that offers the target; accepted ones come first."""
    resource, permission = parse_pair(target)
    targets = (
        FlowTarget.objects.filter(resource=resource, permission=permission)
        .select_related("flow")
        .order_by("flow__name")
        .prefetch_related("flow__approver_groups", "flow__approver_users")
    )
    window = SimulatedWindow(is_enrolled(person.pk))
    cases = [_case(Selection([row], duration), person, window, now) for row in targets]
    return sorted(cases, key=lambda case: bool(case.refusals))


def _case(selection: Selection, requester: "User", window: SimulatedWindow, now: datetime) -> Case:
    evaluation = evaluate(requester=requester, selection=selection, verification=None, now=now)
    flow = evaluation.flow or selection.flows[0]
    return Case(
        preview=preview_request(evaluation, requester, window, now),
        flow=flow,
        refusals=_refusals(evaluation, flow, requester),
        require_mfa=flow.require_mfa,
        approvers=_approvers(flow, requester),
        is_approvable=is_approvable(flow, requester),
    )


def _refusals(evaluation: Evaluation, flow: AccessFlow, requester: "User") -> list[str]:
    """Return the refusals, with reasons that requesters themselves are not shown."""
    return [
        (_ineligibility(flow, requester) if refusal.field == "flow" else "") or refusal.sentence
        for refusal in evaluation.refusals
    ]


def _ineligibility(flow: AccessFlow, requester: "User") -> str:
    name = name_in(str(requester))
    if not requester.is_active:
        return f"{name} is deactivated."
    if not flow.is_active:
        return f"{flow} is deactivated."
    if not AccessFlow.objects.requestable_by(requester).filter(pk=flow.pk).exists():
        return f"{name} is not a requester of {flow}, by name or by group."
    return ""


def _approvers(flow: AccessFlow, requester: "User") -> list[tuple[str, str]]:
    """Return each approver set with the names of those who could decide on this user's request."""
    excluded = frozenset() if flow.allow_self_approval else frozenset({requester.pk})
    later = [
        (f"{label}, after escalation", members)
        for label, members in escalation_sets(flow, flow.escalation_tiers.count())
    ]
    sets = [*approver_sets(flow), *later]
    return [(label, _names(members - excluded)) for label, members in sets]


def _names(pks: Collection[int]) -> str:
    users = get_user_model()._default_manager.filter(pk__in=pks).order_by("name", "pk")
    names = [name_in(str(user)) for user in users[:MAX_NAMES]]
    more = [f"{len(pks) - MAX_NAMES} more"] if len(pks) > MAX_NAMES else []
    return ", ".join(names + more) or "Nobody"


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
