"""``{% load datetimes %}{{ request.ends_at|relative_datetime }}``: dates and labels for people."""

from datetime import UTC, datetime

from django import template
from django.utils import timezone

register = template.Library()

NEARBY_DAYS = {-1: "yesterday", 1: "tomorrow"}
DAYS_WITHOUT_YEAR = 300


@register.filter
def relative_datetime(instant: datetime | None) -> str:
    """Return ``14:11`` for today, ``tomorrow 14:11``, and ``12 May, 14:11`` for other days."""
    if instant is None:
        return ""
    local, days = _local(instant)
    if days == 0:
        return f"{local:%H:%M}"
    if days in NEARBY_DAYS:
        return f"{NEARBY_DAYS[days]} {local:%H:%M}"
    year = f" {local.year}" if abs(days) > DAYS_WITHOUT_YEAR else ""
    return f"{local.day} {local:%b}{year}, {local:%H:%M}"


@register.filter
def day_suffix(instant: datetime) -> str:
    """Return what follows a time of day: nothing for today, else `` tomorrow`` or `` on 12 May``."""
    local, days = _local(instant)
    if days in (0, 1):
        return " tomorrow" if days else ""
    return f" on {local.day} {local:%b}"


def _local(instant: datetime) -> tuple[datetime, int]:
    """Return the instant in the portal's time zone, and how many days from today it is."""
    local = timezone.localtime(instant)
    return local, (local.date() - timezone.localdate()).days


@register.filter
def person(label: str) -> str:
    """Return the name in a label like ``Name <email>``."""
    return label.partition(" <")[0]


@register.filter
def initials(label: str) -> str:
    """Return the first letters of the first and the last word of a name or label: ``IS``."""
    words = person(label).split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()


def utc_timestamp(at: datetime) -> str:
    """Return a time as exports write it: ISO 8601 in UTC, to the microsecond, of fixed length."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
