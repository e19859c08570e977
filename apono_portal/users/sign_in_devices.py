"""Browsers in which a user has signed in before, to detect a sign-in from a new one.

The cookie only decides whether to send an email; it grants nothing.
"""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

if TYPE_CHECKING:
    from apono_portal.users.models import User

_SALT = "users.sign-in-device"
_MAX_AGE = timedelta(days=400)  # the longest browsers allow


def is_known_device(request: HttpRequest, user: "User") -> bool:
    """Return whether the user has signed in with this browser before."""
    cookie = request.COOKIES.get(_cookie_name(user), "")
    try:
        return bool(signing.loads(cookie, salt=_SALT, max_age=_MAX_AGE) == user.pk)
    except signing.BadSignature:
        return False


def remember_device(response: HttpResponseBase, user: "User") -> None:
    response.set_cookie(
        _cookie_name(user),
        signing.dumps(user.pk, salt=_SALT),
        max_age=_MAX_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _cookie_name(user: "User") -> str:
    prefix = "__Host-" if settings.HTTPS else ""
    return f"{prefix}sign-in-device-{user.pk}"
