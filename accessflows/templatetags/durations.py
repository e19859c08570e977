"""``{% load durations %}{{ flow.max_duration|spell }}``."""

from datetime import timedelta

from django import template

from accessflows import durations

register = template.Library()


@register.filter
def spell(duration: timedelta | None) -> str:
    return durations.spell(duration) if duration is not None else ""
