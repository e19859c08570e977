"""Template context for every page."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apono_portal.sso.enforcement import may_use_password
from apono_portal.sso.models import IdentityProvider
from apono_portal.status.problems import Problem, current_problems
from apono_portal.users.device_sessions import DeviceRow, device_rows, this_device_id

THEMES = ("light", "dark")


def portal(request: HttpRequest) -> dict[str, Any]:
    """Return the portal's name, the time zone of the page, the user's theme ("" follows the system), and how they sign in.

    What costs a query is read by the pages that show it only.
    """
    theme = request.COOKIES.get("theme", "")
    return {
        "portal_name": settings.PORTAL_NAME,
        "can_reset_password": settings.EMAIL_CONFIGURED,
        "time_zone_name": timezone.get_current_timezone_name(),
        "theme": theme if theme in THEMES else "",
        "has_password": SimpleLazyObject(partial(_has_password, request)),
        "signed_in_devices": SimpleLazyObject(partial(_signed_in_devices, request)),
        "fresh_provider": SimpleLazyObject(partial(_fresh_provider, request)),
    }


def problems(request: HttpRequest) -> dict[str, list[Problem]]:
    """Return what needs a person, for those who may read everything."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not user.can_read_everything:
        return {"problems": []}
    read = getattr(request, "problems", None)  # by the view already
    return {"problems": current_problems(timezone.now()) if read is None else read}


def _has_password(request: HttpRequest) -> bool:
    user = request.user
    return user.is_authenticated and user.has_usable_password() and may_use_password(user)


def _signed_in_devices(request: HttpRequest) -> Sequence[DeviceRow]:
    user = request.user
    return device_rows(user, this=this_device_id(request)) if user.is_authenticated else []


def _fresh_provider(request: HttpRequest) -> IdentityProvider | None:
    """Return the provider through which the user may prove again who they are."""
    providers = IdentityProvider.objects.filter(is_active=True, identities__user=request.user.pk)
    return providers.first()
