"""What one may ask of the audit log, read from the address."""

import datetime as dt
import re
from functools import cache
from itertools import groupby
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.events import LABELS, EventName
from audit.log.selectors import Wanted

EARLIEST, LATEST = dt.date(2000, 1, 1), dt.date(2999, 12, 31)
LARGEST_ID = 2**63 - 1
REFERENCE = re.compile(r"(?:AR-)?([0-9]{1,18})", re.IGNORECASE)


def _subject(choice: tuple[str, str]) -> str:
    subject = choice[0].partition(":")[0]
    return "MFA" if subject == "mfa" else subject.capitalize()


def event_choices() -> list[tuple[str, Any]]:
    """Every event under its subject, for a select."""
    groups = [(name, list(found)) for name, found in groupby(EventName.choices, key=_subject)]
    return [("", "Any action"), *groups]


@cache
def _event_options(chosen: str) -> SafeString:
    choices = {"choices": event_choices(), "chosen": chosen}
    return render_to_string("audit/_event_options.html", choices)


class DayField(forms.DateField):
    """A day as a browser's date input sends it."""

    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    default_error_messages = {"invalid": "Write the day as YYYY-MM-DD, for example 2026-05-31."}

    def __init__(self, **kwargs: Any) -> None:
        beyond = f"Choose a day between {EARLIEST} and {LATEST}."
        validators = [MinValueValidator(EARLIEST, beyond), MaxValueValidator(LATEST, beyond)]
        super().__init__(required=False, validators=validators, **kwargs)


def cleaned_reference(typed: str) -> int | None:
    """Return the number in a request's reference, None if nothing was typed."""
    if not typed:
        return None
    reference = REFERENCE.fullmatch(typed)
    if reference is None:
        raise forms.ValidationError("Write the request's reference, for example AR-12.")
    return int(reference[1])


class LogForm(forms.Form):
    """Filters and place in the log. Nothing is required; what cannot be read gets a sentence."""

    since = DayField(label="From")
    until = DayField(label="Until")
    event = forms.ChoiceField(
        label="Action",
        choices=event_choices,
        required=False,
        error_messages={"invalid_choice": "There is no such action. Choose one from the list."},
    )
    actor = forms.CharField(label="Actor", max_length=100, required=False)
    request = forms.CharField(label="Request", max_length=32, required=False)
    text = forms.CharField(label="Target or address", max_length=100, required=False)
    before = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False)
    after = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False)
    open = forms.IntegerField(min_value=0, max_value=LARGEST_ID, required=False)

    FILTERS = ("since", "until", "event", "actor", "request", "text")

    def clean_request(self) -> int | None:
        return cleaned_reference(self.cleaned_data["request"])

    @property
    def event_options(self) -> SafeString:
        """The choices of the filter by action as they are drawn, of which there are many."""
        chosen = self.data.get("event", "")
        return _event_options(chosen if chosen in LABELS else "")

    @property
    def is_filtered(self) -> bool:
        return bool(self.asked)

    @property
    def asked(self) -> dict[str, str]:
        """The filters that narrow, as they were typed."""
        return {name: self.data[name] for name in self.FILTERS if self.data.get(name)}

    @property
    def wanted(self) -> Wanted:
        """What a valid form asks for. A day counts whole, in the portal's time zone."""
        asked = self.cleaned_data
        until = asked["until"] and asked["until"] + dt.timedelta(days=1)
        return Wanted(
            event=asked["event"],
            actor=asked["actor"],
            request_id=asked["request"],
            text=asked["text"],
            since=start_of(asked["since"]),
            until=start_of(until),
        )


def start_of(day: dt.date | None) -> dt.datetime | None:
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min)) if day else None
