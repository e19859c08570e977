"""Every write about people and their sign-in."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from audit.services import ANONYMOUS_LABEL, record
from mfa import emails

TELL_AGAIN_AFTER = timedelta(minutes=15)


def record_sign_in(*, user: User, client_info: ClientInfo, new_browser: bool = False) -> None:
    """Put a sign-in on the record, and tell the person of one from a new browser.

    Not of the very first, and once in `TELL_AGAIN_AFTER`: whoever has the password must not be able
    to bury that mail under a thousand others.
    """
    with transaction.atomic():
        event = record(
            event=EventName.SESSION_SIGN_IN,
            actor=user,
            target=user,
            client_info=client_info,
            metadata={"new_browser": True} if new_browser else {},
        )
        earlier = Event.objects.filter(event=EventName.SESSION_SIGN_IN, actor_id=user.pk)
        earlier = earlier.exclude(pk=event.pk)
        told = earlier.filter(at__gt=event.at - TELL_AGAIN_AFTER, metadata__new_browser=True)
        if new_browser and earlier.exists() and not told.exists():
            emails.new_browser(event=event, user=user, client_info=client_info)


def record_sign_out(*, user: User, client_info: ClientInfo) -> None:
    record(event=EventName.SESSION_SIGN_OUT, actor=user, target=user, client_info=client_info)


def record_failed_sign_in(*, email: str, client_info: ClientInfo) -> None:
    """Put a failed try on the record. What was typed is not: only a known person is named."""
    record(
        event=EventName.SESSION_SIGN_IN_FAIL,
        actor=None,
        actor_label=ANONYMOUS_LABEL,
        target=_known(email),
        client_info=client_info,
    )


def record_lock(*, email: str, client_info: ClientInfo) -> None:
    """Put the beginning of a hold-off on the record, once: blocked attempts add nothing."""
    person = _known(email)
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    recent = Event.objects.filter(
        event=EventName.SESSION_LOCK_OUT,
        target_id=str(person.pk) if person else "",
        address=client_info.address,
        at__gt=timezone.now() - cool_off,
    )
    if not recent.exists():
        record(event=EventName.SESSION_LOCK_OUT, actor=None, target=person, client_info=client_info)


def _known(email: str) -> Any:
    if "\0" in email:  # PostgreSQL takes no such text, not even to compare
        return None
    return User.objects.filter(email=normalise_email(email)).first()
