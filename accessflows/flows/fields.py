"""Fields of a flow's form about its decision and its extensions, and durations as people write them."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError

from accessflows.flows.validation import MOST_APPROVALS, MOST_EXTENSIONS, MOST_TIERS
from accessflows.tickets import LONGEST_PATTERNS
from apono_portal.core.formatting.durations import format_duration, parse_duration

ROW = "escalation_"

ROWS = range(1, MOST_TIERS + 1)


class DurationTextField(forms.CharField):
    """A duration as people write it: ``8h``, ``90m``, ``1h 30m``, ``1:30``."""

    default_error_messages = {"required": "Enter a duration, for example 8h."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: Any) -> Any:
        return format_duration(value) if isinstance(value, timedelta) else value


class DecisionFields(forms.Form):
    """How many approvals, who is asked later, and how often access may be extended.

    A further group is a row of two fields, ``escalation_wait_1`` and ``escalation_group_1``; rows
    without a group are left out.
    """

    approvals_required = forms.IntegerField(
        label="Approvals needed",
        min_value=1,
        max_value=MOST_APPROVALS,
        initial=1,
        required=False,
        help_text="How many different people of a group have to approve.",
    )
    max_extensions = forms.IntegerField(
        label="Extensions",
        min_value=0,
        max_value=MOST_EXTENSIONS,
        initial=0,
        required=False,
        help_text="How often the owner may extend open access. 0 for never.",
    )
    extension_duration = DurationTextField(
        label="Each extension", required=False, help_text="For example 30m or 1h.", initial="1 h"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in ROWS:
            self.fields[f"{ROW}wait_{number}"] = DurationTextField(
                label="If nobody decides in" if number == 1 else "and if nobody does in",
                required=False,
                initial="30 min" if number == 1 else "",
            )
            self.fields[f"{ROW}group_{number}"] = forms.ModelChoiceField(
                Group.objects.order_by("name"),
                label="also ask",
                required=False,
                empty_label="Nobody further",
                error_messages={"invalid_choice": "This group is not known any more."},
            )

    def clean_approvals_required(self) -> int:
        return self.cleaned_data["approvals_required"] or 1

    def clean_max_extensions(self) -> int:
        return self.cleaned_data["max_extensions"] or 0

    def clean_extension_duration(self) -> timedelta:
        return self.cleaned_data["extension_duration"] or timedelta(hours=1)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for number in ROWS:
            wait = f"{ROW}wait_{number}"
            if cleaned.get(f"{ROW}group_{number}") and wait in cleaned and not cleaned[wait]:
                self.add_error(wait, "Say after how long, for example 30m.")
        return cleaned

    def escalation_rows(self) -> Iterator[tuple[forms.BoundField, forms.BoundField]]:
        for number in ROWS:
            yield self[f"{ROW}wait_{number}"], self[f"{ROW}group_{number}"]

    def shows_further_rows(self) -> bool:
        """Is a row after the first filled in, or wrong?"""
        return any(
            self[f"{ROW}group_{number}"].value() or self[f"{ROW}group_{number}"].errors
            for number in ROWS[1:]
        )

    def escalation(self) -> tuple[tuple[timedelta, int], ...]:
        """Return (wait, group id) of the valid form's rows with a group."""
        rows = [(f"{ROW}wait_{number}", f"{ROW}group_{number}") for number in ROWS]
        return tuple(
            (self.cleaned_data[wait], self.cleaned_data[group].pk)
            for wait, group in rows
            if self.cleaned_data[group]
        )


def initial_rows(escalation: tuple[tuple[timedelta, int], ...]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for number, (wait, group) in enumerate(escalation, start=1):
        rows |= {f"{ROW}wait_{number}": wait, f"{ROW}group_{number}": group}
    return rows


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
