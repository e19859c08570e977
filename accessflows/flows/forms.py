"""Forms of access flows. They parse; services validate and write."""

from typing import Any

from django import forms
from django.conf import settings
from django.forms.utils import ErrorDict

from accessflows.availability import DAYS
from accessflows.flows.choices import format_pair, parse_pair, target_choices
from accessflows.flows.condition_rows import (
    RowCountField,
    SetOfRows,
    condition_forms,
    requester_sets,
    sets_of_rows,
)
from accessflows.flows.fields import (
    ESCALATION_PREFIX,
    DecisionFields,
    DurationTextField,
    TicketFields,
    initial_rows,
)
from accessflows.flows.terms import APPROVER_FIELDS, FlowInput
from accessflows.form_fields import (
    INCOMPLETE,
    UNKNOWN_CHOICE,
    CheckboxList,
    ChoicesField,
    Switch,
    TimeOfDay,
)
from accessflows.models import AccessFlow, Integration
from accessflows.pickers import GROUP, USER, PickedField
from accessflows.querysets import AccessFlowQuerySet
from accessflows.requesters import Sets
from mfa.models import Strength

MAX_NAME_LENGTH = 80


class FlowFilterForm(forms.Form):
    """Filters of the list of flows. Unknown values are ignored."""

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
        names = Integration.objects.values_list("pk", "name")
        fields["integration"].choices = [
            ("", "Any integration"),
            *((str(pk), name) for pk, name in names),
        ]

    def apply(self, flows: AccessFlowQuerySet) -> AccessFlowQuerySet:
        self.full_clean()
        filters = self.cleaned_data
        if filters.get("status"):
            flows = flows.filter(is_active=filters["status"] == "active")
        if filters.get("mfa"):
            flows = flows.filter(require_mfa=filters["mfa"] == "required")
        if filters.get("approval"):
            flows = flows.filter(approval=filters["approval"])
        if filters.get("integration"):
            flows = flows.using_integration(filters["integration"])
        return flows.matching(filters.get("q", ""))


class FlowForm(DecisionFields, TicketFields, forms.Form):
    """All terms of a flow. ``seen_version`` detects that somebody else saved in between."""

    name = forms.CharField(
        label="Access Flow Name",
        max_length=MAX_NAME_LENGTH,
        error_messages={"required": "Enter a name that requesters will recognize."},
    )
    require_mfa = Switch(
        label="Require MFA",
        help_text="Requesters verify before approvers are notified. One verification lasts 60 minutes.",
    )
    mfa_strength = forms.ChoiceField(
        label="Accepted methods",
        choices=Strength.choices,
        initial=Strength.ANY,
        required=False,
        widget=forms.RadioSelect(attrs={"class": "segmented words"}),
        help_text="A fake sign-in page can relay a code; a passkey works on this portal only. "
        "A synced passkey is copied to its owner's other devices; a device-bound one is not.",
    )
    verify_every_request = Switch(
        label="Verify for every request",
        help_text="Otherwise, one verification is valid for an hour.",
    )
    description = forms.CharField(
        label="Description", max_length=200, required=False, help_text="Shown to requesters."
    )
    requesters = RowCountField()
    targets = ChoicesField(
        label="Resources and permissions",
        error_messages={
            "required": "Choose at least one resource and permission.",
            "invalid_choice": UNKNOWN_CHOICE,
        },
    )
    max_duration = DurationTextField(
        label="Max duration", help_text="For example 8h, 90m or 1h 30m.", initial="8 h"
    )
    available_days = ChoicesField(
        label="Days",
        required=False,
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=CheckboxList(attrs={"class": "segmented"}),
        help_text="No days selected: always available.",
        error_messages={"invalid_choice": UNKNOWN_CHOICE},
    )
    available_from = forms.TimeField(label="From", required=False, widget=TimeOfDay)
    available_until = forms.TimeField(
        label="To",
        required=False,
        widget=TimeOfDay,
        help_text="A time earlier than From is on the next day.",
    )
    available_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        required=False,
        help_text="Time zone of these hours, for example Europe/Helsinki.",
    )
    approval = forms.ChoiceField(
        label="Approval",
        choices=AccessFlow.Approval.choices,
        initial=AccessFlow.Approval.AUTOMATIC,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
        error_messages={"required": "Choose how requests are approved."},
    )
    approver_groups = PickedField(GROUP, label="Approver groups")
    approver_users = PickedField(
        USER, label="Approvers by name", help_text="Together, these users count as one group."
    )
    break_glass = Switch(
        label="Break-glass",
        help_text="For emergencies: no approval, but always MFA and a justification. All admins are notified "
        "at once, and another admin reviews the access afterwards.",
    )
    require_justification = Switch(label="Require justification", initial=True)
    require_approver_reason = Switch(
        label="Require a reason from approvers", help_text="Rejections always need a reason."
    )
    allow_self_approval = Switch(label="Requesters can approve their own requests")
    allow_delegation = Switch(
        label="Allow permissions that can give others access",
        help_text="For permissions that own objects or have rights WITH GRANT OPTION. Whatever their users give "
        "to others is reported and revoked when their access ends. Changes to the objects themselves stay. The end of "
        "one user's access also revokes what others gave meanwhile: users of the same permission, and superusers "
        "where the permission owns the objects.",
    )
    agents = forms.ChoiceField(
        label="AI agents",
        choices=AccessFlow.Agents.choices,
        initial=AccessFlow.Agents.NONE,
        error_messages={"required": INCOMPLETE},
        widget=forms.RadioSelect(attrs={"class": "segmented words"}),
        help_text="An agent requests for a user, under its own name. The user verifies and reveals the "
        "credential, unless the agent can.",
    )
    seen_version = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=0)

    def __init__(
        self,
        *args: Any,
        flow: AccessFlow | None = None,
        like: AccessFlow | None = None,
        is_draft: bool = False,
        **kwargs: Any,
    ) -> None:
        """``flow`` is the flow being edited, ``like`` the flow that a new one copies.

        ``is_draft`` shows what was sent without validating it, while rows are added or users searched.
        """
        self.is_draft = is_draft
        kwargs["initial"] = _initial_of(flow) if flow else _initial_of_copy(like) if like else {}
        kwargs["initial"]["available_zone"] = (
            kwargs["initial"].get("available_zone") or settings.TIME_ZONE
        )
        sets = kwargs["initial"].pop("requesters", ())
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["targets"].choices = target_choices(flow)
        self.rows = condition_forms(self.data if self.is_bound else None, sets)
        fields["requesters"].initial = len(self.rows)

    def full_clean(self) -> None:
        if self.is_draft:
            self._errors, self.cleaned_data = ErrorDict(), {}
        else:
            super().full_clean()

    def clean_requesters(self) -> Sets:
        """Return the conditions of all rows; the first error of one is that of all."""
        for row in self.rows:
            if not row.is_valid():
                raise forms.ValidationError(row.first_error)
        return requester_sets(self.rows)

    @property
    def row_sets(self) -> list[SetOfRows]:
        return sets_of_rows(self.rows)

    @property
    def shows_row_errors(self) -> bool:
        return any(row.errors for row in self.rows)

    @property
    def extensions_open(self) -> bool:
        return bool(self["max_extensions"].errors or self["extension_duration"].errors)

    @property
    def availability_open(self) -> bool:
        names = ("available_days", "available_from", "available_until", "available_zone")
        return any(self[name].errors for name in names)

    @property
    def request_form_open(self) -> bool:
        names = ("require_justification", "require_ticket", "ticket_pattern")
        return any(self[name].errors for name in names)

    def clean(self) -> dict[str, Any]:
        """Drop what Require MFA has shown and hidden again; with it on, nothing may be missing."""
        values = super().clean() or self.cleaned_data
        if not values.get("require_mfa"):
            values |= {"mfa_strength": Strength.ANY, "verify_every_request": False}
        elif values.get("mfa_strength") == "":
            self.add_error("mfa_strength", "Choose which methods are accepted.")
        if values.get("approval") == AccessFlow.Approval.AUTOMATIC:
            self._drop_approval(values)
        return values

    def _drop_approval(self, values: dict[str, Any]) -> None:
        """Ignore what is not shown while approval is automatic."""
        hidden = [name for name in self.fields if name.startswith(ESCALATION_PREFIX)]
        for name in [*hidden, "approvals_required"]:
            self.errors.pop(name, None)
            values[name] = None
        values["approvals_required"] = 1
        for name in APPROVER_FIELDS:
            if name in values:
                values[name] = ()

    def terms(self) -> FlowInput:
        """Return the input of a valid form."""
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "seen_version" and not name.startswith(ESCALATION_PREFIX)
        }
        values["escalation"] = self.escalation()
        for name in APPROVER_FIELDS:
            values[name] = frozenset(row.pk for row in values[name])
        values["targets"] = frozenset(parse_pair(choice) for choice in values["targets"])
        values["available_days"] = tuple(sorted(values["available_days"]))
        if not values["available_days"]:
            values["available_zone"] = ""
        return FlowInput(**values)


def _initial_of(flow: AccessFlow) -> dict[str, object]:
    terms = FlowInput.of(flow)
    pairs = [format_pair(pair) for pair in terms.targets]
    rows = initial_rows(terms.escalation)
    return {**vars(terms), **rows, "targets": pairs, "seen_version": flow.version}


def _initial_of_copy(flow: AccessFlow) -> dict[str, object]:
    """Return all terms of a flow under a name that is free."""
    return {**_initial_of(flow), "name": _free_name(flow.name), "seen_version": None}


def _free_name(name: str) -> str:
    number = 1
    while True:
        ending = " (copy)" if number == 1 else f" (copy {number})"
        free = f"{name[: MAX_NAME_LENGTH - len(ending)].rstrip()}{ending}"
        if not AccessFlow.objects.filter(name__iexact=free).exists():
            return free
        number += 1
