"""Parsing and formatting of durations: ``8h``, ``90 min``, ``1:30``, ``1.5``."""

import re
from datetime import timedelta
from decimal import Decimal

from django import template

register = template.Library()

MIN_DURATION = timedelta(minutes=1)
MAX_DURATION = timedelta(days=365)
EXAMPLES = "Examples: 8h, 90m, 1h 30m, 1:30, or 1.5 for hours."

_NUMBER = r"[0-9]{1,6}(?:[.,][0-9]{1,6})?"
_CLOCK = re.compile(r"([0-9]{1,4}):([0-5][0-9])")
_HOURS = re.compile(_NUMBER)
_PART = re.compile(
    rf"({_NUMBER})\s*(days|day|d|hours|hour|hrs|hr|h|minutes|minute|mins|min|m)(?![a-z])\s*"
)
_HOURS_AND_MINUTES = re.compile(r"([0-9]{1,4})\s*h\s*([0-5]?[0-9])")
_MINUTES_IN = {"d": 24 * 60, "h": 60, "m": 1}


def parse_duration(text: str) -> timedelta:
    """Parse a duration, truncated to whole minutes; a bare number means hours.

    Raises ValueError with a message for the user. Digits must be ASCII.
    """
    minutes = _minutes(text.strip().lower())
    if minutes is None:
        raise ValueError(f"This is not a duration. {EXAMPLES}")
    duration = timedelta(minutes=int(minutes))
    if duration < MIN_DURATION:
        raise ValueError(f"The minimum duration is one minute. {EXAMPLES}")
    if duration > MAX_DURATION:
        raise ValueError(f"The maximum duration is {MAX_DURATION.days} days. {EXAMPLES}")
    return duration


def _minutes(text: str) -> Decimal | None:
    if clock := _CLOCK.fullmatch(text):
        return Decimal(int(clock[1]) * 60 + int(clock[2]))
    if _HOURS.fullmatch(text):
        return _number(text) * 60
    if hours := _HOURS_AND_MINUTES.fullmatch(text):
        return Decimal(int(hours[1]) * 60 + int(hours[2]))
    return _sum_of_parts(text)


def _sum_of_parts(text: str) -> Decimal | None:
    """Return the minutes of ``1 day 2 h 30 min``: each unit once, larger units first."""
    total, end, smallest = Decimal(0), 0, 24 * 60 + 1
    while part := _PART.match(text, end):
        unit = _MINUTES_IN[part[2][0]]
        if unit >= smallest:
            return None
        total, end, smallest = total + _number(part[1]) * unit, part.end(), unit
    return total if end and end == len(text) else None


def _number(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def format_duration(duration: timedelta) -> str:
    """Return ``1 h 30 min``, ``45 min``, or from 48 hours on ``2 d``."""
    seconds = max(int(duration.total_seconds()), 0)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24) if hours >= 48 else (0, hours)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


@register.filter
def duration(value: timedelta | None) -> str:
    """Format a duration in a template: ``{% load durations %}{{ flow.max_duration|duration }}``."""
    return format_duration(value) if value is not None else ""
