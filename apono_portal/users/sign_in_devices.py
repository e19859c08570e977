"""Browsers somebody has signed in with before, so that a sign-in from a new one can be told.

The cookie only decides about a mail. It opens nothing.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

_SALT = "users.seen-browser"
_AGE = timedelta(days=400)  # browsers keep no cookie longer


def has_seen(request: HttpRequest, user: Any) -> bool:
    """Whether this person has signed in with this browser."""
    try:
        seen = signing.loads(request.COOKIES.get(_name(user), ""), salt=_SALT, max_age=_AGE)
    except signing.BadSignature:
        return False
    return bool(seen == user.pk)


def remember(response: HttpResponseBase, user: Any) -> None:
    response.set_cookie(
        _name(user),
        signing.dumps(user.pk, salt=_SALT),
        max_age=_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _name(user: Any) -> str:
    prefix = "__Host-" if settings.HTTPS else ""
    return f"{prefix}seen-browser-{user.pk}"
