"""Known browsers are forgotten by their owner."""

from typing import Any

from django.db import transaction

from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa.exceptions import NoSuchBrowser
from mfa.models import KnownBrowser
from mfa.services.evidence import require_evidence
from mfa.window import Window


def forget_browser(*, user: Any, browser_id: int, window: Window | None, origin: Origin) -> None:
    """Take a browser off the person's list. It needs the open window: a lane protects its owner."""
    with transaction.atomic():
        require_evidence(user=user, window=window)
        browser = KnownBrowser.objects.filter(pk=browser_id, user_id=user.pk).first()
        if browser is None:
            raise NoSuchBrowser
        record(
            event=EventName.MFA_FORGET_BROWSER,
            actor=user,
            target=browser,
            origin=origin,
            metadata={"browser": browser.user_agent, "known_since": browser.created_at},
        )
        browser.delete()
