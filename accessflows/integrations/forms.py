"""Forms of integrations. They parse; services validate and write. Secrets are only ever written."""

from dataclasses import fields as dataclass_fields
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.kinds import ConnectorKind
from accessflows.connectors.protocol import SETTING, SettingField
from accessflows.form_fields import SeenField, Switch
from accessflows.integrations.address import integration_digest
from accessflows.integrations.certificates import (
    MAX_LENGTH,
    InvalidCertificates,
    parse_certificates,
)
from accessflows.integrations.terms import ADDRESS_FIELDS, OTHER_FIELDS, IntegrationInput
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.formatting.printable import validate_printable
from apono_portal.core.web.ssrf_guard import AddressRefused, check_url

HTTPS_PORT, HTTP_PORT = 443, 80


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


class IntegrationForm(forms.Form):
    """All settings of an integration of one kind, which declares some of the fields.

    A kind with a setting ``url`` has no host and port of its own: they are those of the URL.
    """

    name = forms.CharField(
        label="Name",
        max_length=80,
        validators=[validate_printable],
        help_text="Shown to requesters, for example orders-prod.",
    )
    kind = forms.ChoiceField(label="Kind")
    host = forms.RegexField(
        label="Host",
        regex=r"\A[A-Za-z0-9.:_-]{1,253}\Z",
        help_text="A host name or an IP address.",
        error_messages={"invalid": "Enter one host name or IP address, without a port."},
    )
    port = forms.IntegerField(label="Port", min_value=1, max_value=65535)
    broker = forms.CharField(max_length=63)
    password = forms.CharField(
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
    ca_certificates = forms.CharField(
        label="CA certificates",
        max_length=MAX_LENGTH,
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 4, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
        help_text="In PEM format. Leave empty to use the system's certificates.",
    )
    connection_limit = forms.IntegerField(
        label="Connections per login", min_value=1, max_value=50, initial=3
    )
    terminate_sessions_on_reset = Switch(
        label="Terminate open sessions when a credential is reset",
        help_text="When off, sessions opened with the old password stay open until they are closed.",
        initial=True,
    )
    seen = SeenField()

    def __init__(
        self,
        *args: Any,
        kind: ConnectorKind,
        integration: Integration | None = None,
        **kwargs: Any,
    ) -> None:
        self._kind = kind
        if integration:
            names = (*ADDRESS_FIELDS, *OTHER_FIELDS)
            kwargs["initial"] = {name: getattr(integration, name) for name in names}
            kwargs["initial"] |= integration.target_settings.as_dict()
            kwargs["initial"]["seen"] = integration_digest(integration)
        super().__init__(*args, **kwargs)
        self._declare_fields()
        if integration:
            self.fields["password"].required = False
            self.fields["password"].help_text = (
                "Leave empty to keep the stored one. Required for a new address or other TLS settings: "
                "both decide who reads it, so it is sent there only by someone who knows it."
            )

    def _declare_fields(self) -> None:
        fields: dict[str, Any] = self.fields
        fields["kind"].choices = [(self._kind.name, self._kind.label)]
        fields["port"].initial = self._kind.default_port or None
        fields["broker"].label = self._kind.broker_label
        fields["password"].label = self._kind.credential_label
        for setting in dataclass_fields(self._kind.settings):
            fields[setting.name] = _field_for(setting.metadata[SETTING], str(setting.default))
        if not self._kind.negotiates_tls:
            modes = Integration.SslMode.choices
            fields["sslmode"].choices = [
                one for one in modes if one[0] != Integration.SslMode.PREFER
            ]
        if self._kind.uses_url:
            for name in ("host", "port", "broker", "sslmode"):
                del fields[name]
        if not self._kind.uses_tls:
            for name in ("sslmode", "ca_certificates"):
                del fields[name]
        if not self._kind.limits_connections:
            del fields["connection_limit"]

    def fill_broker(self, name: str, password: str) -> None:
        """Fill in a broker that is about to be created, in a form that was not sent yet."""
        widget: Any = self.fields["password"].widget
        widget.render_value = True
        self.initial.update(broker=name, password=password)

    @property
    def settings(self) -> list[forms.BoundField]:
        """Return the fields that the kind declares."""
        return [self[setting.name] for setting in dataclass_fields(self._kind.settings)]

    def clean_url(self) -> str:
        try:
            check_url(self.cleaned_data["url"])
        except AddressRefused as refused:
            raise ValidationError(refused.sentence) from None
        return str(self.cleaned_data["url"])

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        return _checked_secret(self._kind, secret) if secret else ""

    def clean_ca_certificates(self) -> str:
        try:
            return parse_certificates(self.cleaned_data["ca_certificates"])
        except InvalidCertificates as error:
            raise ValidationError(str(error)) from None

    def terms(self) -> IntegrationInput:
        """Return the input of a valid form."""
        values = {name: value for name, value in self.cleaned_data.items() if name != "seen"}
        names = [setting.name for setting in dataclass_fields(self._kind.settings)]
        settings = {name: values.pop(name) for name in names}
        if self._kind.uses_url:
            url = check_url(settings["url"])
            values["host"] = url.hostname or ""
            values["port"] = url.port or (HTTPS_PORT if url.scheme == "https" else HTTP_PORT)
        values["password"] = values["password"] or None
        return IntegrationInput(**values, settings=settings)


class SecretForm(forms.Form):
    """A new password of the broker, or a new signing secret of a webhook."""

    password = forms.CharField(
        max_length=1024,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Enter the new one."},
    )

    def __init__(self, *args: Any, integration: Integration, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kind = integration.connector_kind
        label = self._kind.credential_label if self._kind else "Password"
        self.fields["password"].label = f"New {label[0].lower()}{label[1:]}"

    def clean_password(self) -> str:
        secret = str(self.cleaned_data["password"])
        return _checked_secret(self._kind, secret) if self._kind else secret


def _field_for(setting: SettingField, default: str) -> forms.Field:
    shown: dict[str, Any] = {
        "label": setting.label,
        "help_text": setting.help_text,
        "initial": default,
        "required": setting.required,
        "error_messages": {"required": f"Enter the {setting.label.lower()}."},
    }
    if setting.choices:
        return forms.ChoiceField(choices=setting.choices, **shown)
    return forms.CharField(max_length=setting.max_length, **shown)


def _checked_secret(kind: ConnectorKind, secret: str) -> str:
    try:
        kind.check_secret(secret)
    except TargetRefused as refused:
        raise ValidationError(refused.sentence) from None
    return secret
