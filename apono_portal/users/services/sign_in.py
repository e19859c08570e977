"""Audit events and emails about signing in and out."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.managers import normalise_email
from apono_portal.users.models import User
from apono_portal.users.password_limits import PERIOD
from audit.events import EventName
from audit.models import Event
from audit.services import ANONYMOUS_LABEL, Metadata, record
from mfa import emails

NEW_DEVICE_EMAIL_INTERVAL = timedelta(minutes=15)


def record_sign_in(
    *,
    user: User,
    client_info: ClientInfo,
    new_browser: bool = False,
    provider: Metadata | None = None,
) -> None:
    """Record a sign-in, and email the user if the browser is new.

    ``provider`` is what an identity provider said, None after a password.

    No email about the very first sign-in, and at most one in `NEW_DEVICE_EMAIL_INTERVAL`: whoever has
    the password must not be able to bury it under a thousand others.
    """
    with transaction.atomic():
        event = record(
            event=EventName.SESSION_SIGN_IN,
            actor=user,
            target=user,
            client_info=client_info,
            metadata=({"new_browser": True} if new_browser else {}) | (provider or {}),
        )
        earlier = Event.objects.filter(event=EventName.SESSION_SIGN_IN, actor_id=user.pk)
        earlier = earlier.exclude(pk=event.pk)
        since = event.at - NEW_DEVICE_EMAIL_INTERVAL
        recent = earlier.filter(at__gt=since, metadata__new_browser=True)
        if new_browser and earlier.exists() and not recent.exists():
            emails.new_browser(
                event=event,
                user=user,
                client_info=client_info,
                provider=str((provider or {}).get("provider", "")),
            )


def record_break_glass_sign_in(*, user: User, client_info: ClientInfo) -> None:
    """Record that a break-glass admin signed in with the password, and alarm all admins."""
    with transaction.atomic():
        event = record(
            event=EventName.SESSION_BREAK_GLASS, actor=user, target=user, client_info=client_info
        )
        emails.break_glass_sign_in(event=event, user=user, client_info=client_info)


def record_sign_out(*, user: User, client_info: ClientInfo) -> None:
    record(event=EventName.SESSION_SIGN_OUT, actor=user, target=user, client_info=client_info)


def record_failed_sign_in(*, email: str, client_info: ClientInfo) -> None:
    """Record a failed attempt, with the user if the email is known, never with what was entered."""
    record(
        event=EventName.SESSION_SIGN_IN_FAIL,
        actor=None,
        actor_label=ANONYMOUS_LABEL,
        target=_find_user(email),
        client_info=client_info,
    )


def record_lockout(*, email: str, client_info: ClientInfo) -> None:
    """Record the start of a sign-in lockout, once: blocked attempts add no events."""
    user = _find_user(email)
    recent = Event.objects.filter(
        event=EventName.SESSION_LOCK_OUT,
        target_id=str(user.pk) if user else "",
        address=client_info.address,
        at__gt=timezone.now() - PERIOD,
    )
    if not recent.exists():
        record(event=EventName.SESSION_LOCK_OUT, actor=None, target=user, client_info=client_info)


def _find_user(email: str) -> User | None:
    if "\0" in email:  # PostgreSQL rejects such text
        return None
    return User.objects.filter(email=normalise_email(email)).first()
