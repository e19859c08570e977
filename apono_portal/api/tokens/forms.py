"""The form of a new token."""

from datetime import timedelta

from django import forms

from apono_portal.api.models import MAX_LIFETIME
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.services import TokenTerms
from apono_portal.core.formatting.printable import validate_printable

DEFAULT_DAYS = 30


class TokenForm(forms.Form):
    """Name, scopes and lifetime."""

    name = forms.CharField(
        label="Name",
        max_length=64,
        validators=[validate_printable],
        help_text="Where you will use it, for example laptop. It is shown wherever the token acts.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Enter a name that you recognize."},
    )
    days = forms.IntegerField(
        label="Expires after (days)",
        min_value=1,
        max_value=MAX_LIFETIME.days,
        initial=DEFAULT_DAYS,
        help_text=f"At most {MAX_LIFETIME.days}.",
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text="A token can never do more than you can.",
        error_messages={"required": "Select at least one scope."},
    )

    def terms(self) -> TokenTerms:
        values = self.cleaned_data
        scopes = [Scope(value) for value in values["scopes"]]
        return TokenTerms(values["name"], scopes, timedelta(days=values["days"]))
