"""Forms for codes, set-up and an admin's reason. They write nothing."""

from django import forms

from mfa.exceptions import MalformedCode, ReasonMissing
from mfa.verification.codes import normalise_code, normalise_recovery_code
from mfa.verification.policies import LONGEST_REASON

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
