"""Forms for a code and for an admin's reason. They write nothing."""

from django import forms

from mfa.exceptions import InvalidReason, MalformedCode
from mfa.verification.policies import MAX_REASON_LENGTH
from mfa.verification.services import parse_code

CODE_ATTRS = {"inputmode": "numeric", "autocomplete": "one-time-code", "spellcheck": "false"}


class CodeForm(forms.Form):
    """A six-digit code, cleaned to ASCII digits. Anything else is not an attempt."""

    code = forms.CharField(
        label="Six-digit code",
        widget=forms.TextInput(attrs=CODE_ATTRS),
        error_messages={"required": MalformedCode.message},
    )

    def clean_code(self) -> str:
        try:
            return parse_code(self.cleaned_data["code"])
        except MalformedCode as error:
            raise forms.ValidationError(str(error)) from None


class ReasonForm(forms.Form):
    """Why an admin changes a user's MFA."""

    reason = forms.CharField(
        label="Reason",
        max_length=MAX_REASON_LENGTH,
        error_messages={
            "required": InvalidReason.message,
            "max_length": InvalidReason.message,
        },
        help_text="Shown in the audit log and sent to the user.",
    )
