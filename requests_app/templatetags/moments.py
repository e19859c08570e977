"""``{% load moments %}{{ request.ends_at|moment }}``: an instant as people say it."""

from datetime import datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format

register = template.Library()


@register.filter
def moment(instant: datetime | None) -> str:
    """Return ``14:11`` for today, ``tomorrow 14:11``, and ``12 May, 14:11`` for other days."""
    if instant is None:
        return ""
    local = timezone.localtime(instant)
    days = (local.date() - timezone.localdate()) // timedelta(days=1)
    clock = date_format(local, "H:i")
    words = {0: clock, 1: f"tomorrow {clock}", -1: f"yesterday {clock}"}
    return words.get(days) or date_format(local, "j M Y, H:i" if abs(days) > 300 else "j M, H:i")


@register.filter
def person(label: str) -> str:
    """Return the name of a ``Name <address>`` snapshot."""
    return label.partition(" <")[0]


@register.filter
def initials(label: str) -> str:
    """Return first and last letter of a ``Name <address>`` snapshot's words: ``IS``."""
    words = person(label).split()
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
