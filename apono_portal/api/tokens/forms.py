"""The form of a new token."""

from datetime import timedelta

from django import forms

from apono_portal.api.models import MAX_AGENT_LIFETIME, MAX_LIFETIME
from apono_portal.api.scopes import AGENT_SCOPES, Scope
from apono_portal.api.tokens.services import TokenTerms
from apono_portal.core.formatting.printable import validate_printable

DEFAULT_DAYS, DEFAULT_AGENT_DAYS = 30, 7


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

    is_agent = False

    def terms(self) -> TokenTerms:
        values = self.cleaned_data
        scopes = [Scope(value) for value in values["scopes"]]
        return TokenTerms(values["name"], scopes, timedelta(days=values["days"]), self.is_agent)


class AgentTokenForm(TokenForm):
    """Name, scopes and lifetime of an AI agent's token: fewer scopes, and not as long."""

    name = forms.CharField(
        label="Name",
        max_length=64,
        validators=[validate_printable],
        help_text="The agent's name. Approvers and the audit log see it wherever the agent acts.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Enter a name that approvers will recognize."},
    )
    days = forms.IntegerField(
        label="Expires after (days)",
        min_value=1,
        max_value=MAX_AGENT_LIFETIME.days,
        initial=DEFAULT_AGENT_DAYS,
        help_text=f"At most {MAX_AGENT_LIFETIME.days}.",
    )
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=[(scope.value, scope.label) for scope in AGENT_SCOPES],
        initial=[scope.value for scope in AGENT_SCOPES if scope != Scope.ACCESS_REVEAL],
        widget=forms.CheckboxSelectMultiple,
        help_text="The agent acts only on what it requested itself, through access flows that are open "
        "to AI agents.",
        error_messages={"required": "Select at least one scope."},
    )
    is_agent = True
