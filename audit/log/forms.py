"""Filters of the audit log, parsed from the query string."""

import datetime as dt
import re
from itertools import groupby
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import BigIntegerField
from django.utils import timezone

from apono_portal.core.formatting.login_names import grant_id_of
from audit.events import EventName
from audit.log.selectors import EventFilter

MIN_DAY, MAX_DAY = dt.date(2000, 1, 1), dt.date(2999, 12, 31)
MAX_ID = BigIntegerField.MAX_BIGINT
REFERENCE = re.compile(r"(?:AR-)?([0-9]{1,18})", re.IGNORECASE)

Choices = list[tuple[str, str]]


def grouped_event_choices() -> list[tuple[str, str | Choices]]:
    """Return the events, grouped by subject."""
    groups = groupby(EventName.choices, key=lambda choice: choice[0].partition(":")[0])
    return [
        ("", "Any action"),
        *(("MFA" if name == "mfa" else name.capitalize(), list(group)) for name, group in groups),
    ]


class DayField(forms.DateField):
    """A day, as a browser's date input sends it."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    default_error_messages = {"invalid": "Enter a date as YYYY-MM-DD, for example 2026-05-31."}

    def __init__(self, **kwargs: Any) -> None:
        message = f"Choose a date from {MIN_DAY} to {MAX_DAY}."
        validators = [MinValueValidator(MIN_DAY, message), MaxValueValidator(MAX_DAY, message)]
        super().__init__(required=False, validators=validators, **kwargs)


QUICK_RANGES = {
    "24h": ("Last 24 hours", dt.timedelta(hours=24)),
    "7d": ("Last 7 days", dt.timedelta(days=7)),
    "30d": ("Last 30 days", dt.timedelta(days=30)),
}


class QuickRangeField(forms.ChoiceField):
    """The last hours or days; cleans to when they began."""

    def __init__(self) -> None:
        choices = [("", "Any time"), *((key, label) for key, (label, _) in QUICK_RANGES.items())]
        super().__init__(
            label="Time",
            choices=choices,
            required=False,
            widget=forms.HiddenInput,
            error_messages={"invalid_choice": "Choose a range from the list."},
        )

    def clean(self, value: Any) -> dt.datetime | None:
        name = super().clean(value)
        return timezone.now() - QUICK_RANGES[name][1] if name else None


def parse_reference(text: str) -> int | None:
    """Return the id in a request's reference, None for an empty text."""
    if not text:
        return None
    reference = REFERENCE.fullmatch(text)
    if reference is None:
        raise forms.ValidationError("Enter a request's reference, for example AR-12.")
    return int(reference[1])


def start_of(day: dt.date | None) -> dt.datetime | None:
    """Return the start of a day in the time zone of the page."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min)) if day else None


class LogForm(forms.Form):
    """Filters, page and open event. All optional."""

    range = QuickRangeField()
    since = DayField(label="From")
    until = DayField(label="Until")
    event = forms.ChoiceField(
        label="Action",
        choices=grouped_event_choices,
        required=False,
        error_messages={"invalid_choice": "Choose an action from the list."},
    )
    actor = forms.CharField(label="Actor", max_length=100, required=False)
    request = forms.CharField(label="Request", max_length=32, required=False)
    text = forms.CharField(label="Target, login or address", max_length=100, required=False)
    actor_id = forms.IntegerField(label="By", min_value=0, max_value=MAX_ID, required=False)
    user_id = forms.IntegerField(label="About", min_value=0, max_value=MAX_ID, required=False)
    before = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    after = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)
    open = forms.IntegerField(min_value=0, max_value=MAX_ID, required=False)

    FILTERS = (
        *("range", "since", "until", "event", "actor", "request", "text"),
        *("actor_id", "user_id"),  # of links from the page of a user
    )

    def clean_request(self) -> int | None:
        return parse_reference(self.cleaned_data["request"])

    @property
    def is_filtered(self) -> bool:
        return bool(self.typed_filters)

    @property
    def typed_filters(self) -> dict[str, str]:
        """The filters in use, as they were typed."""
        return {name: self.data[name] for name in self.FILTERS if self.data.get(name)}

    @property
    def filters(self) -> EventFilter:
        """The filters of a valid form. Both days are included."""
        values = self.cleaned_data
        words = values["text"].split()
        until = values["until"] and values["until"] + dt.timedelta(days=1)
        return EventFilter(
            event=values["event"],
            actor=values["actor"],
            request_id=values["request"],
            text=" ".join(word for word in words if not grant_id_of(word)),
            grant_id=next(filter(None, map(grant_id_of, words)), None),
            since=start_of(values["since"]) or values["range"],
            until=start_of(until),
            actor_id=values["actor_id"],
            user_id=values["user_id"],
        )
