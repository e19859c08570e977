"""Forms of access flows and integrations. They parse; services check and write."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import Group

from accessflows.availability import DAYS
from accessflows.flows.choices import people_choices, parse_pair, target_choices, format_pair
from accessflows.flows.fields import (
    ROW,
    DecisionFields,
    DurationTextField,
    TicketFields,
    initial_rows,
)
from accessflows.flows.terms import FlowInput
from accessflows.form_fields import UNKNOWN_CHOICE, RowsField, Switch, TimeOfDay
from accessflows.models import AccessFlow, Integration
from accessflows.querysets import AccessFlowQuerySet

LONGEST_NAME = 80


class FlowFilterForm(forms.Form):
    """What the list of flows is narrowed to; an unknown value narrows nothing."""

    q = forms.CharField(required=False, max_length=100)
    status = forms.ChoiceField(
        required=False,
        choices=[("", "Any status"), ("active", "Active"), ("inactive", "Inactive")],
    )
    mfa = forms.ChoiceField(
        required=False, choices=[("", "Any MFA"), ("required", "Required"), ("off", "Off")]
    )
    approval = forms.ChoiceField(
        required=False, choices=[("", "Any approval"), *AccessFlow.Approval.choices]
    )
    integration = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        known = Integration.objects.values_list("pk", "name")
        fields["integration"].choices = [
            ("", "Any integration"),
            *((str(pk), name) for pk, name in known),
        ]

    def apply(self, flows: AccessFlowQuerySet) -> AccessFlowQuerySet:
        self.full_clean()
        chosen = self.cleaned_data
        if chosen.get("status"):
            flows = flows.filter(is_active=chosen["status"] == "active")
        if chosen.get("mfa"):
            flows = flows.filter(require_mfa=chosen["mfa"] == "required")
        if chosen.get("approval"):
            flows = flows.filter(approval=chosen["approval"])
        if chosen.get("integration"):
            flows = flows.leading_to(chosen["integration"])
        return flows.matching(chosen.get("q", ""))


class FlowForm(DecisionFields, TicketFields, forms.Form):
    """All terms of a flow. ``seen_version`` tells whether somebody else saved in between."""

    name = forms.CharField(
        label="Access Flow Name",
        max_length=LONGEST_NAME,
        error_messages={"required": "Give the flow a name that requesters recognise."},
    )
    require_mfa = Switch(
        label="Require MFA",
        help_text="Requesters verify before anyone is asked to approve. Covers 60 minutes.",
    )
    description = forms.CharField(
        label="Description", max_length=200, required=False, help_text="Shown to requesters."
    )
    requester_groups = RowsField(label="Groups")
    requester_users = RowsField(label="People")
    targets = forms.MultipleChoiceField(
        label="Resources and permissions",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose at least one resource and permission.",
            "invalid_choice": UNKNOWN_CHOICE,
        },
    )
    max_duration = DurationTextField(
        label="Longest duration", help_text="For example 8h, 90m or 1h 30m.", initial="8 h"
    )
    available_days = forms.TypedMultipleChoiceField(
        label="Days",
        required=False,
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=forms.CheckboxSelectMultiple(attrs={"class": "segmented"}),
        help_text="With no day ticked it can be requested always.",
        error_messages={"invalid_choice": UNKNOWN_CHOICE},
    )
    available_from = forms.TimeField(label="From", required=False, widget=TimeOfDay)
    available_until = forms.TimeField(
        label="To",
        required=False,
        widget=TimeOfDay,
        help_text="A time before the first one is on the next day.",
    )
    available_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        required=False,
        help_text="The clock those hours are read from, for example Europe/Helsinki.",
    )
    approval = forms.ChoiceField(
        label="Decision",
        choices=AccessFlow.Approval.choices,
        initial=AccessFlow.Approval.AUTOMATIC,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        error_messages={"required": "Choose how it is decided."},
    )
    approver_groups = RowsField(label="Approver groups")
    approver_users = RowsField(
        label="Approvers by name", help_text="People named here count as one group together."
    )
    require_justification = Switch(label="Require justification", initial=True)
    require_approver_reason = Switch(
        label="Require a reason from approvers", help_text="Rejections always need one."
    )
    allow_self_approval = Switch(label="Requesters may approve their own request")
    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def __init__(
        self,
        *args: Any,
        flow: AccessFlow | None = None,
        like: AccessFlow | None = None,
        **kwargs: Any,
    ) -> None:
        """``flow`` is the one that is edited, ``like`` one whose terms a new one begins with."""
        kwargs["initial"] = _initial_of(flow) if flow else _initial_of_copy(like) if like else {}
        kwargs["initial"]["available_zone"] = (
            kwargs["initial"].get("available_zone") or settings.TIME_ZONE
        )
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["requester_groups"].queryset = Group.objects.order_by("name")
        fields["approver_groups"].queryset = Group.objects.order_by("name")
        fields["requester_users"].queryset = people_choices(flow, "requestable")
        fields["approver_users"].queryset = people_choices(flow, "decidable")
        fields["targets"].choices = target_choices(flow)

    def terms(self) -> FlowInput:
        """Return the valid form as terms."""
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "seen_version" and not name.startswith(ROW)
        }
        values["escalation"] = self.escalation()
        for name in ("requester_users", "requester_groups", "approver_users", "approver_groups"):
            values[name] = frozenset(each.pk for each in values[name])
        values["targets"] = frozenset(parse_pair(choice) for choice in values["targets"])
        values["available_days"] = tuple(sorted(values["available_days"]))
        if not values["available_days"]:
            values["available_zone"] = ""
        return FlowInput(**values)


def _initial_of(flow: AccessFlow) -> dict[str, Any]:
    terms = FlowInput.of(flow)
    pairs = [format_pair(pair) for pair in terms.targets]
    rows = initial_rows(terms.escalation)
    return {**vars(terms), **rows, "targets": pairs, "seen_version": flow.version}


def _initial_of_copy(flow: AccessFlow) -> dict[str, Any]:
    """All terms of a flow under a name that is free. Which choices are left, the form says."""
    return {**_initial_of(flow), "name": _free_name(flow.name), "seen_version": None}


def _free_name(name: str) -> str:
    number = 1
    while True:
        ending = " (copy)" if number == 1 else f" (copy {number})"
        free = f"{name[: LONGEST_NAME - len(ending)].rstrip()}{ending}"
        if not AccessFlow.objects.filter(name__iexact=free).exists():
            return free
        number += 1
