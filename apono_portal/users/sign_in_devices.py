"""Browsers in which a user has signed in before.

The cookie grants nothing. It decides whether an email about a new browser is sent, and which budget of
incorrect passwords an attempt uses (`apono_portal.users.password_limits`).
"""

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.http import HttpRequest, HttpResponseBase
from django.utils.crypto import constant_time_compare, salted_hmac

from apono_portal.users.managers import normalise_email

if TYPE_CHECKING:
    from apono_portal.users.models import User

_NAME = "sign-in-device"
_MAX_AGE = timedelta(days=400)  # the longest browsers allow


def is_known_device(request: HttpRequest, user: "User") -> bool:
    """Return whether the user has signed in with this browser before."""
    return _read(request, user) is not None


def find_device(request: HttpRequest, email: str) -> str:
    """Return a hash of the browser's nonce if this user signed in there with the present password.

    Empty for strangers. A cookie from before a password change is a stranger's: whoever knew the old
    password must not get further attempts with cookies collected then.
    """
    if not _has_cookie(request) or "\0" in email:  # which PostgreSQL rejects
        return ""
    user = get_user_model().objects.filter(email=normalise_email(email)).first()
    read = _read(request, user) if user else None
    if user is None or read is None or not constant_time_compare(read[1], _reference(user)):
        return ""
    return hashlib.sha256(read[0].encode()).hexdigest()


def is_known_for_sign_in(request: HttpRequest) -> bool:
    """Return whether a sign-in form comes from a browser known to the account it names."""
    return _has_cookie(request) and bool(find_device(request, request.POST.get("username", "")))


def remember_device(request: HttpRequest, response: HttpResponseBase, user: "User") -> None:
    """Send the cookie of a browser in which the user has just proven the password."""
    known = _read(request, user)
    nonce = known[0] if known else secrets.token_urlsafe(16)
    response.set_cookie(
        _cookie_name(user),
        signing.dumps([nonce, _reference(user)], salt=_salt(user)),
        max_age=_MAX_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def _read(request: HttpRequest, user: "User") -> tuple[str, str] | None:
    """Return the nonce and the reference of the password in the user's cookie, if it is valid."""
    cookie = request.COOKIES.get(_cookie_name(user), "")
    try:
        nonce, reference = signing.loads(cookie, salt=_salt(user), max_age=_MAX_AGE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(nonce), str(reference)


def _has_cookie(request: HttpRequest) -> bool:
    return any(name.startswith(_prefix()) for name in request.COOKIES)


def _reference(user: "User") -> str:
    """Return a keyed hash of the stored password, which tells nothing about it."""
    return salted_hmac(_NAME, user.password, algorithm="sha256").hexdigest()[:32]


def _salt(user: "User") -> str:
    return f"users.{_NAME}:{user.pk}"


def _prefix() -> str:
    return f"__Host-{_NAME}-" if settings.HTTPS else f"{_NAME}-"


def _cookie_name(user: "User") -> str:
    return f"{_prefix()}{user.pk}"
