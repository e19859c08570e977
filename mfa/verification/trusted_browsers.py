"""Trusted browsers: a signed cookie after a success, and the owner's list of them."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import BigIntegerField, CharField
from django.http import HttpRequest, HttpResponse

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.exceptions import BrowserNotFound
from mfa.models import MfaState, TrustedBrowser
from mfa.verification.evidence import require_evidence
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_TRUSTED_BROWSERS = 10
COOKIE_AGE = timedelta(days=400)  # browsers keep no cookie longer


_trusted_browser = CompiledQuery(
    lambda user_id, epoch, nonce_hash: (
        TrustedBrowser.objects.trusted_by(user_id, epoch).filter(nonce_hash=nonce_hash).order_by()
    ),
    BigIntegerField(),
    BigIntegerField(),
    CharField(),
)


def find_trusted_browser(user_id: int, epoch: int, nonce_hash: str) -> TrustedBrowser | None:
    return _trusted_browser.first(user_id, epoch, nonce_hash) if nonce_hash else None


def trust_browser(*, state: MfaState, client_info: ClientInfo, now: datetime) -> str:
    """Trust a browser whose owner has just verified; return its cookie, empty if there is no room.

    When ten browsers are trusted, one that was used a single time, more than a day ago, makes room.
    So a stolen code can never push out a browser that its owner comes back to.
    """
    browsers = TrustedBrowser.objects.trusted_by(state.user_id, state.epoch)
    if browsers.count() >= MAX_TRUSTED_BROWSERS:
        replaceable = browsers.replaceable(now).order_by("created_at", "id").first()
        if replaceable is None:
            return ""
        replaceable.delete()
    nonce = secrets.token_urlsafe(32)
    TrustedBrowser.objects.create(
        user_id=state.user_id,
        nonce_hash=nonce_hash(nonce),
        epoch=state.epoch,
        user_agent=client_info.user_agent,
        created_at=now,
        last_used_at=now,
    )
    return signed_cookie(state.user_id, nonce)


def forget_browser(
    *, user: "User", browser_id: int, window: Window | None, client_info: ClientInfo
) -> None:
    """Take a browser off the user's list. It needs an open window: a scope protects its owner."""
    with transaction.atomic():
        require_evidence(user=user, window=window)
        browser = TrustedBrowser.objects.filter(pk=browser_id, user_id=user.pk).first()
        if browser is None:
            raise BrowserNotFound
        record(
            event=EventName.MFA_FORGET_BROWSER,
            actor=user,
            target=browser,
            client_info=client_info,
            metadata={"browser": browser.user_agent, "trusted_since": browser.created_at},
        )
        browser.delete()


def set_browser_cookie(response: HttpResponse, user: "User", cookie: str) -> None:
    """Send the cookie of a browser that has just become trusted; nothing if it is empty."""
    if not cookie:
        return
    response.set_cookie(
        cookie_name(user.pk),
        cookie,
        max_age=COOKIE_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def nonce_hash_of(request: HttpRequest, user_id: int) -> str:
    """Return the hash of the nonce in a user's cookie; empty without a valid one."""
    cookie = request.COOKIES.get(cookie_name(user_id), "")
    try:
        return nonce_hash(str(signing.loads(cookie, salt=_salt(user_id), max_age=COOKIE_AGE)))
    except signing.BadSignature:
        return ""


def cookie_name(user_id: int) -> str:
    """Return the user's own cookie name, so that users who share a browser keep one each."""
    prefix = "__Host-" if settings.HTTPS else ""
    return f"{prefix}trusted-browser-{user_id}"


def signed_cookie(user_id: int, nonce: str) -> str:
    """Return the cookie's value. Its epoch is on the browser's row."""
    return signing.dumps(nonce, salt=_salt(user_id))


def nonce_hash(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def _salt(user_id: int) -> str:
    """Sign for one user: under another name the cookie is a forged one."""
    return f"mfa.trusted-browser:{user_id}"
