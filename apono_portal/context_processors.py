"""Template context for every page."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

THEMES = ("light", "dark")


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the portal's name, the time zone of the page and the user's theme ("" follows the system)."""
    theme = request.COOKIES.get("theme", "")
    return {
        "portal_name": settings.PORTAL_NAME,
        "time_zone_name": timezone.get_current_timezone_name(),
        "theme": theme if theme in THEMES else "",
    }
