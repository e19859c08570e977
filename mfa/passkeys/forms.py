"""Forms that carry what the browser answers."""

from django import forms

from apono_portal.core.formatting.printable import validate_printable
from mfa.passkeys.registration import DEFAULT_NAME


class PasskeyForm(forms.Form):
    """A new passkey: the response that the page's script fills in, and a name."""

    name = forms.CharField(
        label="Name this passkey",
        max_length=64,
        validators=[validate_printable],
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": DEFAULT_NAME}),
        help_text="For example, MacBook or security key.",
    )
    credential = forms.CharField(widget=forms.HiddenInput)
