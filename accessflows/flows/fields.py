"""Fields of a flow's form: durations, approvals, escalation, extensions and tickets."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accessflows.flows.validation import MAX_APPROVALS, MAX_EXTENSIONS, MAX_TIERS
from accessflows.form_fields import Switch
from accessflows.pickers import FIND, GROUP, PickedOneField
from accessflows.tickets import MAX_PATTERN_LENGTH
from apono_portal.core.formatting.durations import format_duration, parse_duration

ESCALATION_PREFIX = "escalation_"
_ROWS = range(1, MAX_TIERS + 1)
Tiers = tuple[tuple[timedelta, int], ...]


class DurationTextField(forms.CharField):
    """A duration as typed: ``8h``, ``90m``, ``1h 30m``, ``1:30``."""

    default_error_messages = {"required": "Enter a duration, for example 8h."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=40, **kwargs)

    def clean(self, value: object) -> timedelta | None:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_duration(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def prepare_value(self, value: object) -> object:
        return format_duration(value) if isinstance(value, timedelta) else value


class DecisionFields(forms.Form):
    """How many approvals are needed, to whom requests escalate, and how often access can be extended.

    An escalation tier is a row of two fields, ``escalation_wait_1`` and ``escalation_group_1``; rows
    without a group are ignored.
    """

    approvals_required = forms.IntegerField(
        label="Approvals needed",
        min_value=1,
        max_value=MAX_APPROVALS,
        initial=1,
        required=False,
        help_text="How many different members of a group must approve.",
    )
    max_extensions = forms.IntegerField(
        label="Extensions",
        min_value=0,
        max_value=MAX_EXTENSIONS,
        initial=0,
        required=False,
        help_text="How often a requester can extend active access. 0 means never.",
    )
    extension_duration = DurationTextField(
        label="Extension duration",
        required=False,
        help_text="For example 30m or 1h.",
        initial="1 h",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for number in _ROWS:
            self.fields[f"{ESCALATION_PREFIX}wait_{number}"] = DurationTextField(
                label="If nobody decides within" if number == 1 else "and if still nobody within",
                required=False,
                initial="30 min" if number == 1 else "",
            )
            self.fields[f"{ESCALATION_PREFIX}group_{number}"] = PickedOneField(
                GROUP,
                label="Escalate to",
                error_messages={"invalid_choice": "This group no longer exists."},
            )

    def clean_approvals_required(self) -> int:
        return self.cleaned_data["approvals_required"] or 1

    def clean_max_extensions(self) -> int:
        return self.cleaned_data["max_extensions"] or 0

    def clean_extension_duration(self) -> timedelta:
        return self.cleaned_data["extension_duration"] or timedelta(hours=1)

    def clean(self) -> dict[str, object]:
        cleaned = super().clean() or self.cleaned_data
        for number in _ROWS:
            wait = f"{ESCALATION_PREFIX}wait_{number}"
            if (
                cleaned.get(f"{ESCALATION_PREFIX}group_{number}")
                and wait in cleaned
                and not cleaned[wait]
            ):
                self.add_error(wait, "Enter how long to wait, for example 30m.")
        return cleaned

    def escalation_rows(self) -> Iterator[tuple[forms.BoundField, forms.BoundField]]:
        for number in _ROWS:
            yield (
                self[f"{ESCALATION_PREFIX}wait_{number}"],
                self[f"{ESCALATION_PREFIX}group_{number}"],
            )

    def shows_escalation(self) -> bool:
        """Tell whether a step is filled in, searched for or invalid."""
        return self._shows(_ROWS)

    def shows_further_rows(self) -> bool:
        """Tell whether a row after the first is filled in or invalid."""
        return self._shows(_ROWS[1:])

    def _shows(self, numbers: Iterable[int]) -> bool:
        names = [f"{ESCALATION_PREFIX}group_{number}" for number in numbers]
        waits = [f"{ESCALATION_PREFIX}wait_{number}" for number in numbers]
        searched = any(self.data.get(f"{FIND}{name}") for name in names)
        invalid = any(self[name].errors for name in [*names, *waits])
        return searched or invalid or any(self[name].value() for name in names)

    def escalation(self) -> Tiers:
        """Return (wait, group id) of the rows with a group. The form must be valid."""
        rows = [
            (f"{ESCALATION_PREFIX}wait_{number}", f"{ESCALATION_PREFIX}group_{number}")
            for number in _ROWS
        ]
        return tuple(
            (self.cleaned_data[wait], self.cleaned_data[group].pk)
            for wait, group in rows
            if self.cleaned_data[group]
        )


def initial_rows(escalation: Tiers) -> dict[str, timedelta | int]:
    rows: dict[str, timedelta | int] = {}
    for number, (wait, group) in enumerate(escalation, start=1):
        rows |= {
            f"{ESCALATION_PREFIX}wait_{number}": wait,
            f"{ESCALATION_PREFIX}group_{number}": group,
        }
    return rows


class TicketPatternField(forms.CharField):
    """The patterns of a flow's tickets; spaces and commas separate alternatives."""

    def __init__(self) -> None:
        super().__init__(
            label="Ticket pattern",
            max_length=MAX_PATTERN_LENGTH,
            required=False,
            help_text="OPS-# matches OPS-7 and OPS-4821; @ matches letters. Separate several with "
            "spaces. Leave empty to accept any reference.",
            widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        )

    def to_python(self, value: object) -> str:
        return " ".join(str(super().to_python(value) or "").replace(",", " ").split())


class TicketFields(forms.Form):
    ticket_pattern = TicketPatternField()
    require_ticket = Switch(label="Require a ticket")
