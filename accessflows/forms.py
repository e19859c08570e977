"""Forms of access flows and integrations. They parse; services check and write."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from accessflows.availability import DAYS
from accessflows.choices import people_choices, read_pair, target_choices, write_pair
from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.webhook.calls import parsed_url
from accessflows.connectors.webhook.signing import key_of
from accessflows.decision_fields import ROW, DecisionFields, DurationTextField, initial_rows
from accessflows.exceptions import TermsRefused
from accessflows.models import AccessFlow, Integration, Permission, Resource
from accessflows.querysets import AccessFlowQuerySet
from accessflows.terms import ADDRESS_TERMS, OTHER_INTEGRATION_TERMS, FlowTerms, IntegrationTerms
from accessflows.ticket_fields import TicketFields

LONGEST_NAME = 80
UNKNOWN_CHOICE = "One of the choices is not known any more. Choose again."


def add_refusal(form: forms.Form, refused: TermsRefused) -> None:
    """Mark the fields a service refused."""
    for field, sentence in refused.errors.items():
        form.add_error(field if field in form.fields else None, sentence)


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


class Switch(forms.BooleanField):
    """A checkbox drawn as a switch."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.CheckboxInput(attrs={"role": "switch"})
        super().__init__(required=False, widget=widget, **kwargs)


class TimeOfDay(forms.TimeInput):
    """Hours and minutes, in the browser's own control."""

    input_type = "time"

    def __init__(self) -> None:
        super().__init__(format="%H:%M")


class RowsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """A list of checkboxes, one for each row of ``queryset``; the form may set that later."""

    widget = forms.CheckboxSelectMultiple
    default_error_messages = {"invalid_choice": UNKNOWN_CHOICE, "invalid_pk_value": UNKNOWN_CHOICE}
    _NUMBER = re.compile(r"[0-9]{1,18}")

    def __init__(self, *, queryset: Any = None, required: bool = False, **kwargs: Any) -> None:
        rows = Group.objects.none() if queryset is None else queryset
        super().__init__(rows, required=required, **kwargs)

    def clean(self, value: Any) -> Any:
        """Refuse what is no row number before the database sees it: some overflow there."""
        if any(not self._NUMBER.fullmatch(str(each)) for each in value or ()):
            raise ValidationError(UNKNOWN_CHOICE, code="invalid_choice")
        return super().clean(value)


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
    requestor_groups = RowsField(label="Groups")
    requestor_users = RowsField(label="People")
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
        fields["requestor_groups"].queryset = Group.objects.order_by("name")
        fields["approver_groups"].queryset = Group.objects.order_by("name")
        fields["requestor_users"].queryset = people_choices(flow, "requestable")
        fields["approver_users"].queryset = people_choices(flow, "decidable")
        fields["targets"].choices = target_choices(flow)

    def terms(self) -> FlowTerms:
        """Return the valid form as terms."""
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "seen_version" and not name.startswith(ROW)
        }
        values["escalation"] = self.escalation()
        for name in ("requestor_users", "requestor_groups", "approver_users", "approver_groups"):
            values[name] = frozenset(each.pk for each in values[name])
        values["targets"] = frozenset(read_pair(choice) for choice in values["targets"])
        values["available_days"] = tuple(sorted(values["available_days"]))
        if not values["available_days"]:
            values["available_zone"] = ""
        return FlowTerms(**values)


def _initial_of(flow: AccessFlow) -> dict[str, Any]:
    terms = FlowTerms.of(flow)
    pairs = [write_pair(pair) for pair in terms.targets]
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


class CanaryForm(forms.Form):
    """What a canary is run with: something present that may be given."""

    resource = forms.ModelChoiceField(label="Resource", queryset=Resource.objects.none())
    permission = forms.ModelChoiceField(label="Permission", queryset=Permission.objects.none())

    def __init__(self, *args: Any, integration: Integration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["resource"].queryset = integration.resources.present()
        fields["permission"].queryset = integration.permissions.present()
        fields["resource"].empty_label = fields["permission"].empty_label = None


class IntegrationForm(forms.Form):
    """All terms of an integration. The broker's password is only ever written."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        help_text="What requesters see, for example orders-prod.",
    )
    kind = forms.ChoiceField(
        label="Kind",
        choices=[(Integration.Kind.POSTGRESQL.value, Integration.Kind.POSTGRESQL.label)],
    )
    host = forms.RegexField(
        label="Host",
        regex=r"\A[A-Za-z0-9.:_-]{1,253}\Z",
        help_text="A host name or an IP address.",
        error_messages={"invalid": "Enter one host name or IP address, without a port."},
    )
    port = forms.IntegerField(label="Port", min_value=1, max_value=65535, initial=5432)
    database = forms.CharField(
        label="Maintenance database",
        max_length=63,
        initial="postgres",
        help_text="Where the broker connects first.",
    )
    broker = forms.CharField(label="Broker role", max_length=63)
    password = forms.CharField(
        label="Broker password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Sealed at once and never shown again.",
    )
    sslmode = forms.ChoiceField(
        label="TLS",
        choices=Integration.SslMode.choices,
        initial=Integration.SslMode.VERIFY_FULL,
    )
    sslrootcert = forms.CharField(
        label="CA certificate file",
        max_length=255,
        required=False,
        help_text="Path on the portal's machines. Empty takes the system's certificates.",
    )
    connection_limit = forms.IntegerField(
        label="Connections per login", min_value=1, max_value=50, initial=3
    )
    cut_sessions_on_reset = Switch(
        label="Cut open sessions when credentials are reset",
        help_text="Off, a session opened with the old password goes on until it closes.",
        initial=True,
    )

    def __init__(self, *args: Any, integration: Integration | None = None, **kwargs: Any) -> None:
        if integration:
            kwargs["initial"] = _initial_of_integration(integration)
        super().__init__(*args, **kwargs)
        if integration:
            _make_secret_optional(self.fields["password"])

    def terms(self) -> IntegrationTerms:
        """Return the valid form as terms."""
        values = dict(self.cleaned_data)
        return IntegrationTerms(**{**values, "password": values["password"] or None})


class WebhookForm(forms.Form):
    """All terms of an integration with one's own automation. The secret is only ever written."""

    name = forms.CharField(
        label="Name", max_length=80, help_text="What requesters see, for example orders-gateway."
    )
    kind = forms.ChoiceField(
        label="Kind", choices=[(Integration.Kind.WEBHOOK.value, Integration.Kind.WEBHOOK.label)]
    )
    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="Where the receiver takes calls, beginning with https://.",
        error_messages={"required": "Enter the receiver's address."},
    )
    password = forms.CharField(
        label="Signing secret",
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Begins with whsec_. Sealed at once and never shown again.",
    )
    sslrootcert = forms.CharField(
        label="CA certificate file",
        max_length=255,
        required=False,
        help_text="Path on the portal's machines. Empty takes the system's certificates.",
    )
    cut_sessions_on_reset = Switch(
        label="Cut open sessions when credentials are reset",
        help_text="The receiver is told; it ends sessions or leaves them.",
        initial=True,
    )

    def __init__(self, *args: Any, integration: Integration | None = None, **kwargs: Any) -> None:
        if integration:
            kwargs["initial"] = _initial_of_integration(integration)
        super().__init__(*args, **kwargs)
        if integration:
            _make_secret_optional(self.fields["password"])

    def clean_url(self) -> str:
        try:
            parsed_url(self.cleaned_data["url"])
        except TargetRefused as refused:
            raise ValidationError(refused.sentence) from None
        return str(self.cleaned_data["url"])

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        try:
            key_of(secret) if secret else b""
        except TargetRefused as refused:
            raise ValidationError(refused.sentence) from None
        return secret

    def terms(self) -> IntegrationTerms:
        """Return the valid form as terms. Host and port are those of the address."""
        values = dict(self.cleaned_data)
        url = parsed_url(values["url"])
        return IntegrationTerms(
            **{**values, "password": values["password"] or None},
            host=url.hostname or "",
            port=url.port or (443 if url.scheme == "https" else 80),
            database="",
        )


class SecretForm(forms.Form):
    """A new password of the broker, or a new secret of a webhook. It is only ever written."""

    password = forms.CharField(
        label="New password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Enter the new one."},
    )

    def __init__(self, *args: Any, integration: Integration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_webhook = integration.kind == Integration.Kind.WEBHOOK
        if self._is_webhook:
            self.fields["password"].label = "New signing secret"

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        try:
            key_of(secret) if self._is_webhook else b""
        except TargetRefused as refused:
            raise ValidationError(refused.sentence) from None
        return secret


def integration_form_for(kind: str) -> type[IntegrationForm] | type[WebhookForm]:
    return WebhookForm if kind == Integration.Kind.WEBHOOK else IntegrationForm


def _initial_of_integration(integration: Integration) -> dict[str, Any]:
    names = (*ADDRESS_TERMS, *OTHER_INTEGRATION_TERMS)
    return {name: getattr(integration, name) for name in names}


def _make_secret_optional(password: forms.Field) -> None:
    password.required = False
    password.help_text = "Only for a new address. Leave it empty to keep the one that is sealed."
