"""Forms of integrations. They parse; services validate and write. Secrets are only ever written."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.webhook.signing import key_of
from accessflows.form_fields import SeenField, Switch
from accessflows.integrations.certificates import (
    MAX_LENGTH,
    InvalidCertificates,
    parse_certificates,
)
from accessflows.integrations.services import integration_digest
from accessflows.integrations.terms import ADDRESS_FIELDS, OTHER_FIELDS, IntegrationInput
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.core.web.ssrf_guard import AddressRefused, check_url


class CanaryForm(forms.Form):
    """The resource and permission of a canary, both present on the integration."""

    resource = forms.ModelChoiceField(label="Resource", queryset=Resource.objects.none())
    permission = forms.ModelChoiceField(label="Permission", queryset=Permission.objects.none())

    def __init__(self, *args: Any, integration: Integration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["resource"].queryset = integration.resources.present()
        fields["permission"].queryset = integration.permissions.present()
        fields["resource"].empty_label = fields["permission"].empty_label = None


class _SettingsForm(forms.Form):
    """Fields and behaviour that all kinds of integrations share."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        validators=[validate_printable],
        help_text="Shown to requesters, for example orders-prod.",
    )
    ca_certificates = forms.CharField(
        label="CA certificates",
        max_length=MAX_LENGTH,
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
        help_text="In PEM format. Leave empty to use the system's certificates.",
    )
    terminate_sessions_on_reset = Switch(
        label="Terminate open sessions when a credential is reset",
        help_text="When off, sessions opened with the old password stay open until they are closed.",
        initial=True,
    )

    seen = SeenField()

    def __init__(self, *args: Any, integration: Integration | None = None, **kwargs: Any) -> None:
        if integration:
            names = (*ADDRESS_FIELDS, *OTHER_FIELDS)
            kwargs["initial"] = {name: getattr(integration, name) for name in names}
            kwargs["initial"]["seen"] = integration_digest(integration)
        super().__init__(*args, **kwargs)
        if integration:
            self.fields["password"].required = False
            self.fields["password"].help_text = (
                "Leave empty to keep the stored one. Required for a new address or other TLS settings: "
                "both decide who reads the password, so it is sent there only by someone who knows it."
            )

    def _values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "seen"}

    def clean_ca_certificates(self) -> str:
        try:
            return parse_certificates(self.cleaned_data["ca_certificates"])
        except InvalidCertificates as error:
            raise ValidationError(str(error)) from None

    def terms(self) -> IntegrationInput:
        """Return the input of a valid form."""
        values = self._values()
        return IntegrationInput(**{**values, "password": values["password"] or None})


class IntegrationForm(_SettingsForm):
    """All settings of a PostgreSQL server."""

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
        help_text="The database the broker connects to first.",
    )
    broker = forms.CharField(label="Broker role", max_length=63)
    password = forms.CharField(
        label="Broker password",
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Stored encrypted and never shown again.",
    )
    sslmode = forms.ChoiceField(
        label="TLS",
        choices=Integration.SslMode.choices,
        initial=Integration.SslMode.VERIFY_FULL,
    )
    connection_limit = forms.IntegerField(
        label="Connections per login", min_value=1, max_value=50, initial=3
    )


class WebhookForm(_SettingsForm):
    """All settings of a webhook receiver."""

    kind = forms.ChoiceField(
        label="Kind", choices=[(Integration.Kind.WEBHOOK.value, Integration.Kind.WEBHOOK.label)]
    )
    url = forms.CharField(
        label="Address",
        max_length=500,
        help_text="The receiver's URL, starting with https://.",
        error_messages={"required": "Enter the receiver's address."},
    )
    password = forms.CharField(
        label="Signing secret",
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Starts with whsec_. Stored encrypted and never shown again.",
    )

    def clean_url(self) -> str:
        try:
            check_url(self.cleaned_data["url"])
        except AddressRefused as refused:
            raise ValidationError(refused.sentence) from None
        return str(self.cleaned_data["url"])

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        return _valid_signing_secret(secret) if secret else ""

    def terms(self) -> IntegrationInput:
        """Return the input of a valid form. Host and port are those of the address."""
        values = self._values()
        url = check_url(values["url"])
        return IntegrationInput(
            **{**values, "password": values["password"] or None},
            host=url.hostname or "",
            port=url.port or (443 if url.scheme == "https" else 80),
            database="",
        )


class SecretForm(forms.Form):
    """A new password of the broker, or a new signing secret of a webhook."""

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
        return _valid_signing_secret(secret) if self._is_webhook else secret


def integration_form_for(kind: str) -> type[IntegrationForm] | type[WebhookForm]:
    return WebhookForm if kind == Integration.Kind.WEBHOOK else IntegrationForm


def _valid_signing_secret(secret: str) -> str:
    try:
        key_of(secret)
    except TargetRefused as refused:
        raise ValidationError(refused.sentence) from None
    return secret
