"""Forms of integrations."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.webhook.signing import key_of
from accessflows.flows.terms import OTHER_INTEGRATION_TERMS
from accessflows.form_fields import Switch
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.web.ssrf_guard import AddressRefused, check_url


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

    def terms(self) -> IntegrationInput:
        """Return the valid form as terms."""
        values = dict(self.cleaned_data)
        return IntegrationInput(**{**values, "password": values["password"] or None})


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
            check_url(self.cleaned_data["url"])
        except AddressRefused as refused:
            raise ValidationError(refused.sentence) from None
        return str(self.cleaned_data["url"])

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        try:
            key_of(secret) if secret else b""
        except TargetRefused as refused:
            raise ValidationError(refused.sentence) from None
        return secret

    def terms(self) -> IntegrationInput:
        """Return the valid form as terms. Host and port are those of the address."""
        values = dict(self.cleaned_data)
        url = check_url(values["url"])
        return IntegrationInput(
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
    names = (*ADDRESS_FIELDS, *OTHER_INTEGRATION_TERMS)
    return {name: getattr(integration, name) for name in names}


def _make_secret_optional(password: forms.Field) -> None:
    password.required = False
    password.help_text = "Only for a new address. Leave it empty to keep the one that is sealed."
