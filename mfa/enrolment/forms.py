"""Forms of enrolment and of recovery codes."""

from django import forms

from apono_portal.core.formatting.printable import validate_printable
from mfa.enrolment.recovery_codes import MALFORMED, parse_recovery_code
from mfa.enrolment.services import DEFAULT_NAME
from mfa.exceptions import MalformedCode
from mfa.verification.forms import CodeForm


class SetUpForm(CodeForm):
    """The first code of a new authenticator, and its name."""

    name = forms.CharField(
        label="Name this authenticator",
        max_length=64,
        validators=[validate_printable],
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": DEFAULT_NAME}),
    )


class PasswordForm(forms.Form):
    """The user's password once more."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Enter your password."},
    )


class RecoveryCodeForm(forms.Form):
    """A recovery code, cleaned to its twenty letters and digits."""

    code = forms.CharField(
        label="Recovery code",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": MALFORMED},
    )

    def clean_code(self) -> str:
        try:
            return parse_recovery_code(self.cleaned_data["code"])
        except MalformedCode as error:
            raise forms.ValidationError(str(error)) from None
