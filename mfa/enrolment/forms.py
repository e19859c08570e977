"""Forms of enrolment."""

from django import forms

from mfa.enrolment.services import DEFAULT_NAME
from mfa.verification.forms import CodeForm


class SetUpForm(CodeForm):
    """The first code of a new authenticator, and what its owner calls it."""

    name = forms.CharField(
        label="Name this authenticator",
        max_length=64,
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": DEFAULT_NAME}),
    )


class PasswordForm(forms.Form):
    """The person's password once more."""

    password = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": "Enter your password."},
    )
