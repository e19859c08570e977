"""Lanes: separate budgets for wrong codes, so that a stranger's guesses never lock the owner out.

A browser in which its owner has passed a verification carries a signed cookie and has a scope of its
own; every other browser shares the scope ``unknown``. A scope is a budget, never a way around a code.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

from apono_portal.core.db.prepared import prepared
from mfa.models import MfaState, TrustedBrowser, Verification
from mfa.verification.window import epoch_of

_COOKIE_AGE = timedelta(days=400)  # browsers keep no cookie longer
RECOVERY_LANE = "recovery"


@dataclass(frozen=True, slots=True)
class ThrottleScope:
    """Whose budget a try is charged to, and the session it came from (a hash, never the key)."""

    label: str = Verification.UNKNOWN_SCOPE
    browser_id: int | None = None
    session_ref: str = ""

    @property
    def for_recovery(self) -> "ThrottleScope":
        """The budget of recovery codes beside this one: one factor's hold does not hold the other."""
        suffix = f":{self.browser_id}" if self.browser_id else ""
        return replace(self, label=f"{RECOVERY_LANE}{suffix}")


def throttle_scope_of(request: HttpRequest) -> ThrottleScope:
    """Return the scope of this browser for the person signed in. One query if it has a cookie."""
    session_ref = session_ref_of(request)
    browser = _known_browser(request, request.user)
    if browser is None:
        return ThrottleScope(session_ref=session_ref)
    return ThrottleScope(browser.scope, browser.pk, session_ref)


def still_trusted(scope: ThrottleScope, state: MfaState) -> ThrottleScope:
    """Return the scope as it counts under the lock: a browser forgotten meanwhile is unknown."""
    if scope.browser_id is None:
        return scope
    if _counts.first(scope.browser_id, state.user_id, state.epoch) is not None:
        return scope
    unknown = ThrottleScope(session_ref=scope.session_ref)
    return unknown.for_recovery if scope.label.startswith(RECOVERY_LANE) else unknown


def remember(response: HttpResponse, user: Any, device_cookie: str) -> None:
    """Give the browser the cookie of a success that made it known; nothing if there is none."""
    if not device_cookie:
        return
    response.set_cookie(
        cookie_name(user.pk),
        device_cookie,
        max_age=_COOKIE_AGE,
        path="/",
        secure=settings.HTTPS,
        httponly=True,
        samesite="Lax",
    )


def cookie_name(user_id: int) -> str:
    """One name per person, so that people who share a browser do not push each other out."""
    prefix = "__Host-" if settings.HTTPS else ""
    return f"{prefix}known-browser-{user_id}"


def signed_cookie(user_id: int, nonce: str) -> str:
    """Return the cookie's value. The epoch it counts in stands on the browser's row."""
    return signing.dumps(nonce, salt=_salt(user_id))


def _salt(user_id: int) -> str:
    """The signature is for one person: under another name the cookie is a forged one."""
    return f"mfa.known-browser:{user_id}"


def nonce_hash(nonce: str) -> str:
    return hashlib.sha256(nonce.encode()).hexdigest()


def session_ref_of(request: HttpRequest) -> str:
    """Return what the ledger keeps of a session: enough to count its failures, not to enter it."""
    key = request.session.session_key
    return salted_hmac("mfa.session", key, algorithm="sha256").hexdigest() if key else ""


def _known_browser(request: HttpRequest, user: Any) -> TrustedBrowser | None:
    if not user.is_authenticated:
        return None
    try:
        nonce = signing.loads(
            request.COOKIES.get(cookie_name(user.pk), ""), salt=_salt(user.pk), max_age=_COOKIE_AGE
        )
    except signing.BadSignature:
        return None
    known: TrustedBrowser | None = _known_by.first(nonce_hash(str(nonce)), user.pk, epoch_of(user))
    return known


@prepared(str, int, int)
def _known_by(nonce_hash: str, user_id: int, epoch: int) -> QuerySet[TrustedBrowser]:
    return TrustedBrowser.objects.counting(user_id, epoch).filter(nonce_hash=nonce_hash).order_by()


@prepared(int, int, int)
def _counts(browser_id: int, user_id: int, epoch: int) -> QuerySet[Any, Any]:
    counting = TrustedBrowser.objects.counting(user_id, epoch).filter(pk=browser_id).order_by()
    return counting.values_list("pk", flat=True)
