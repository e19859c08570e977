"""The simulator: what would happen if somebody asked for something now, flow by flow.

It asks `requests_app.submission.evaluation`, as submission does, so it cannot say anything else.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib.auth import get_user_model

from accessflows.flows.choices import parse_pair, format_pair
from accessflows.flows.policies import ApproverSet, approver_sets, escalation_sets
from accessflows.models import AccessFlow, FlowTarget
from apono_portal.core.formatting.datetimes import person as name_in
from mfa.models import Authenticator
from requests_app.forms import DurationField
from requests_app.submission.evaluation import Evaluation, RequestDraft, evaluate, is_approvable
from requests_app.submission.preview import RequestPreview, preview_request

MOST_PEOPLE = 200
MOST_NAMES = 20


class SimulatorForm(forms.Form):
    """PERSON asks for TARGET for DURATION."""

    person = forms.CharField(
        label="Person, by email",
        max_length=254,
        error_messages={"required": "Say who asks, by email."},
    )
    target = forms.ChoiceField(
        label="Target",
        error_messages={
            "required": "Choose what is asked for.",
            "invalid_choice": "No access flow gives this. Choose from the list.",
        },
    )
    duration = DurationField(
        label="Duration", error_messages={"required": "Say for how long, for example 1h."}
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["target"]
        choices.choices = [("", "Choose a target"), *_targets_given()]

    def clean_person(self) -> Any:
        people = get_user_model()._default_manager
        found = people.filter(email__iexact=self.cleaned_data["person"].strip()).first()
        if found is None:
            raise forms.ValidationError("Nobody in the portal has this email.")
        return found


@dataclass(frozen=True)
class SimulatedWindow:
    """A browser in which no code was entered within the hour."""

    enrolled: bool
    is_open: bool = False
    minutes_left: int = 0


@dataclass(frozen=True)
class Case:
    """One flow that gives the target. ``why_not`` is empty if it would be taken on."""

    preview: RequestPreview
    flow: AccessFlow
    why_not: list[str]
    asks_code: bool
    approvers: list[tuple[str, str]]
    is_decidable: bool


def emails_to_suggest() -> list[str]:
    people = get_user_model()._default_manager.filter(is_active=True).order_by("email")
    return list(people.values_list("email", flat=True)[:MOST_PEOPLE])


def simulate(*, person: Any, target: str, duration: timedelta, now: datetime) -> list[Case]:
    """Judge the draft through each flow that gives the target; those that would take it on first."""
    resource, permission = parse_pair(target)
    given = FlowTarget.objects.filter(resource=resource, permission=permission)
    given = (
        given.select_related("flow")
        .order_by("flow__name")
        .prefetch_related("flow__approver_groups", "flow__approver_users")
    )
    window = SimulatedWindow(Authenticator.objects.of(person.pk).confirmed().exists())
    cases = [_case(each, person, duration, window, now) for each in given]
    return sorted(cases, key=lambda case: bool(case.why_not))


def _case(
    target: FlowTarget, person: Any, duration: timedelta, window: SimulatedWindow, now: datetime
) -> Case:
    evaluation = evaluate(
        person=person,
        draft=RequestDraft(target.flow, frozenset({target.pk}), duration),
        verified=window.is_open,
        words=None,
        now=now,
    )
    flow = evaluation.flow or target.flow
    return Case(
        preview=preview_request(evaluation, person, window, now),
        flow=flow,
        why_not=_why_not(evaluation, flow, person),
        asks_code=flow.require_mfa,
        approvers=_approvers(flow, person),
        is_decidable=is_approvable(flow, person),
    )


def _why_not(evaluation: Evaluation, flow: AccessFlow, person: Any) -> list[str]:
    """Say what was refused; of what a requester is not told, the ground of it."""
    return [
        (_ground(flow, person) if refused.field == "flow" else "") or refused.sentence
        for refused in evaluation.refusals
    ]


def _ground(flow: AccessFlow, person: Any) -> str:
    name = name_in(str(person))
    if not person.is_active:
        return f"{name} is deactivated."
    if not flow.is_active:
        return f"{flow} is switched off."
    if not AccessFlow.objects.requestable_by(person).filter(pk=flow.pk).exists():
        return f"{flow} names neither {name} nor a group of theirs as requester."
    return ""


def _approvers(flow: AccessFlow, person: Any) -> list[tuple[str, str]]:
    """Return each group that decides with the names of who could decide on this person's request."""
    first = approver_sets(flow)
    later = [
        each._replace(label=f"{each.label}, later")
        for each in escalation_sets(flow, flow.escalation_tiers.count())
    ]
    left_out = frozenset() if flow.allow_self_approval else frozenset({person.pk})
    return [(each.label, _names(each.members - left_out)) for each in _sets(first, later)]


def _sets(*parts: Sequence[ApproverSet]) -> list[ApproverSet]:
    return [each for part in parts for each in part]


def _names(pks: Collection[int]) -> str:
    people = get_user_model()._default_manager.filter(pk__in=pks).order_by("name", "pk")
    names = [name_in(str(each)) for each in people[:MOST_NAMES]]
    more = [f"{len(pks) - MOST_NAMES} more"] if len(pks) > MOST_NAMES else []
    return ", ".join(names + more) or "Nobody"


def _targets_given() -> list[tuple[str, str]]:
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
        (format_pair((resource, permission)), f"{where} / {what} · {role}")
        for resource, permission, where, what, role in rows.distinct()
    ]
