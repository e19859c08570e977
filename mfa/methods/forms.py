"""A new name for a method."""

from django import forms

from apono_portal.core.formatting.printable import validate_printable


class NameForm(forms.Form):
    """The name that its owner recognizes."""

    name = forms.CharField(
        label="Name",
        max_length=64,
        validators=[validate_printable],
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Enter a name that you recognize."},
    )
