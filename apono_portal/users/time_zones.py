"""The time zone in which a user reads times: the chosen one, else the browser's, else the portal's."""

import re
from collections.abc import Callable
from datetime import tzinfo
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE = "time_zone"  # of the browser, from static/js/shell.js
ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")


class TimeZoneMiddleware:
    """Show times in the user's time zone."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_for(request)):
            return self.get_response(request)


def zone_for(request: HttpRequest) -> tzinfo | None:
    """Return the time zone of whoever asks; None for the portal's."""
    if not request.user.is_authenticated:
        return None
    return zone_named(request.user.time_zone) or zone_named(request.COOKIES.get(COOKIE, ""))


def zone_named(name: str) -> ZoneInfo | None:
    """Return a time zone by its name, None if there is none. The name may come from anybody."""
    if len(name) > 64 or not ZONE_NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, LookupError, ValueError):
        return None


class TimeZoneForm(forms.Form):
    """A time zone by name, or none for the browser's."""

    time_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        required=False,
        help_text="For example Europe/Oslo. Leave empty to use your browser's.",
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
    )

    def clean_time_zone(self) -> str:
        name = str(self.cleaned_data["time_zone"])
        if name and zone_named(name) is None:
            raise forms.ValidationError(
                "Choose a time zone from the list, for example Europe/Oslo."
            )
        return name


def zone_names() -> list[str]:
    """Return the names to suggest."""
    return sorted(name for name in available_timezones() if "/" in name and name[0].isupper())
