"""The part of a flow's form that is about tickets."""

from typing import Any

from django import forms

from accessflows.tickets import LONGEST_PATTERNS


class TicketPatternField(forms.CharField):
    """How a flow's tickets look; spaces and commas part alternatives."""

    def __init__(self) -> None:
        super().__init__(
            label="What a ticket looks like",
            max_length=LONGEST_PATTERNS,
            required=False,
            help_text="# is a digit, @ a letter, a run of them at least that many: OPS-# takes OPS-7 "
            "and OPS-4821. Several go side by side. Left empty, any reference will do.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )

    def to_python(self, value: Any) -> str:
        return " ".join(str(super().to_python(value) or "").replace(",", " ").split())


class TicketFields(forms.Form):
    ticket_pattern = TicketPatternField()
    require_ticket = forms.BooleanField(
        label="Require a ticket",
        required=False,
        widget=forms.CheckboxInput(attrs={"role": "switch"}),
    )
