"""``{% load moments %}{{ request.ends_at|moment }}``: an instant as people say it."""

from collections.abc import Callable
from datetime import datetime, tzinfo

from django import template
from django.utils import timezone
from django.utils.dates import MONTHS

register = template.Library()

NEAR = {-1: "yesterday ", 1: "tomorrow "}


@register.filter
def relative_datetime(instant: datetime | None) -> str:
    """Return ``14:11`` for today, ``tomorrow 14:11``, and ``12 May, 14:11`` for other days."""
    return datetime_formatter()(instant)


def datetime_formatter() -> Callable[[datetime | None], str]:
    """Return what tells many moments: it reads the clock once."""
    zone, today = _here_and_now()
    return lambda instant: "" if instant is None else _told(*_local(instant, zone, today))


def _told(local: datetime, days: int) -> str:
    clock = f"{local.hour:02}:{local.minute:02}"
    if days == 0:
        return clock
    if days in NEAR:
        return f"{NEAR[days]}{clock}"
    year = f" {local.year}" if abs(days) > 300 else ""
    return f"{local.day} {MONTHS[local.month]:.3}{year}, {clock}"


@register.filter
def other_day(instant: datetime) -> str:
    """Return nothing for today, else what belongs behind a clock: `` tomorrow``, `` on 12 May``."""
    local, days = _local(instant, *_here_and_now())
    if days in (0, 1):
        return " tomorrow" if days else ""
    return f" on {local.day} {MONTHS[local.month]:.3}"


def _here_and_now() -> tuple[tzinfo, int]:
    """Return the zone the portal speaks in, and today's number there."""
    zone = timezone.get_current_timezone()
    return zone, timezone.now().astimezone(zone).toordinal()


def _local(instant: datetime, zone: tzinfo, today: int) -> tuple[datetime, int]:
    """Return an instant as clocks here show it, and how many days from today that is."""
    local = instant.astimezone(zone)
    return local, local.toordinal() - today


@register.filter
def person(label: str) -> str:
    """Return the name of a ``Name <address>`` snapshot."""
    return label.partition(" <")[0]


@register.filter
def initials(label: str) -> str:
    """Return first and last letter of a ``Name <address>`` snapshot's words: ``IS``."""
    words = person(label).split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
