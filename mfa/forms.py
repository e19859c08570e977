"""Forms for codes, set-up and an admin's reason. They write nothing."""

from django import forms

from mfa.codes import normalise_code, normalise_recovery_code
from mfa.exceptions import MalformedCode, ReasonMissing
from mfa.policies import LONGEST_REASON
from mfa.services.set_up import DEFAULT_NAME

CODE_ATTRS = {"inputmode": "numeric", "autocomplete": "one-time-code", "spellcheck": "false"}


class CodeForm(forms.Form):
    """The six digits, cleaned to exactly six ASCII digits. What cannot be a code is not a try."""

    code = forms.CharField(
        label="Six-digit code",
        widget=forms.TextInput(attrs=CODE_ATTRS),
        error_messages={"required": MalformedCode.sentence},
    )

    def clean_code(self) -> str:
        try:
            return normalise_code(self.cleaned_data["code"])
        except MalformedCode as refused:
            raise forms.ValidationError(str(refused)) from None


class SetUpForm(CodeForm):
    """The first code of a new authenticator, and what its owner calls it."""

    name = forms.CharField(
        label="Name this authenticator",
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": DEFAULT_NAME}),
    )


class RecoveryCodeForm(forms.Form):
    """A recovery code, cleaned to its twenty letters and digits."""

    code = forms.CharField(
        label="Recovery code",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Enter one of your recovery codes: four groups of five."},
    )

    def clean_code(self) -> str:
        try:
            return normalise_recovery_code(self.cleaned_data["code"])
        except MalformedCode as refused:
            raise forms.ValidationError(str(refused)) from None


class PasswordForm(forms.Form):
    """The person's password once more."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Enter your password."},
    )


class ReasonForm(forms.Form):
    """Why an admin does something to somebody's MFA. It goes on the record and to that person."""

    reason = forms.CharField(
        label="Reason",
        max_length=LONGEST_REASON,
        error_messages={
            "required": ReasonMissing.sentence,
            "max_length": ReasonMissing.sentence,
        },
        help_text="Goes to the audit log and to that person.",
    )
