"""Forms for directories and tokens. They parse and validate; services write."""

from datetime import timedelta

from django import forms

from apono_portal.core.formatting.printable import validate_printable

LIFETIMES = {90: "90 days", 180: "180 days", 365: "1 year"}


class DirectoryForm(forms.Form):
    """The name of a directory."""

    name = forms.CharField(
        label="Name",
        max_length=64,
        validators=[validate_printable],
        help_text="Shown as the source of its users and groups, for example Okta.",
    )


class TokenForm(forms.Form):
    """How long a new token is valid."""

    lifetime = forms.TypedChoiceField(
        label="Expires after",
        choices=list(LIFETIMES.items()),
        coerce=lambda days: timedelta(days=int(days)),
        initial=180,
        widget=forms.RadioSelect(attrs={"class": "segmented"}),
    )
