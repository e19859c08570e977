"""Making a browser known, after a success in it."""

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet

from apono_portal.core.db.prepared import prepared_update
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.exceptions import NoSuchBrowser
from mfa.models import TrustedBrowser
from mfa.verification.evidence import require_evidence
from mfa.verification.throttle_scope import nonce_hash, signed_cookie
from mfa.verification.window import Window

if TYPE_CHECKING:
    from mfa.verification.attempts import Attempt

MOST_KNOWN_BROWSERS = 10


def trust_browser(attempt: "Attempt") -> str:
    """Return the cookie for a browser whose person has just passed; empty if it needs none.

    A browser that is known already keeps its cookie. When ten are known, one that was used a single
    time, more than a day ago, makes room; without such a one the newcomer stays unknown. So a code
    somebody came by can never push out a browser its owner comes back to.
    """
    browsers = TrustedBrowser.objects.counting(attempt.state.user_id, attempt.state.epoch)
    if attempt.scope.browser_id is not None:
        _use(attempt.scope.browser_id, attempt.state.user_id, attempt.state.epoch, attempt.now)
        return ""
    if browsers.count() >= MOST_KNOWN_BROWSERS:
        spare = browsers.droppable(attempt.now).order_by("created_at", "id").first()
        if spare is None:
            return ""
        spare.delete()
    nonce = secrets.token_urlsafe(32)
    TrustedBrowser.objects.create(
        user_id=attempt.state.user_id,
        nonce_hash=nonce_hash(nonce),
        epoch=attempt.state.epoch,
        user_agent=attempt.client_info.user_agent,
        created_at=attempt.now,
        last_used_at=attempt.now,
    )
    return signed_cookie(attempt.state.user_id, nonce)


@prepared_update(int, int, int, datetime)
def _use(
    browser_id: int, user_id: int, epoch: int, now: datetime
) -> tuple[QuerySet[TrustedBrowser], dict[str, Any]]:
    browsers = TrustedBrowser.objects.counting(user_id, epoch)
    return browsers.filter(pk=browser_id), {"last_used_at": now}


def forget_browser(
    *, user: Any, browser_id: int, window: Window | None, client_info: ClientInfo
) -> None:
    """Take a browser off the person's list. It needs the open window: a scope protects its owner."""
    with transaction.atomic():
        require_evidence(user=user, window=window)
        browser = TrustedBrowser.objects.filter(pk=browser_id, user_id=user.pk).first()
        if browser is None:
            raise NoSuchBrowser
        record(
            event=EventName.MFA_FORGET_BROWSER,
            actor=user,
            target=browser,
            client_info=client_info,
            metadata={"browser": browser.user_agent, "trusted_since": browser.created_at},
        )
        browser.delete()
