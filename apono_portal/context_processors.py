"""Template context for every page."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from apono_portal.status.problems import Problem, current_problems

THEMES = ("light", "dark")


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the portal's name, the time zone of the page and the user's theme ("" follows the system)."""
    theme = request.COOKIES.get("theme", "")
    return {
        "portal_name": settings.PORTAL_NAME,
        "time_zone_name": timezone.get_current_timezone_name(),
        "theme": theme if theme in THEMES else "",
    }


def problems(request: HttpRequest) -> dict[str, list[Problem]]:
    """Return what needs a person, for those who may read everything."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not user.can_read_everything:
        return {"problems": []}
    read = getattr(request, "problems", None)  # by the view already
    return {"problems": current_problems(timezone.now()) if read is None else read}
