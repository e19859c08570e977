"""When the password was last proven in this session, and which set-up the session began."""

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

SIGNED_IN_AT = "signed_in_at"
SET_UP = "mfa_set_up"


def stamp_password(request: HttpRequest) -> None:
    """Store in the session that the password was proven just now."""
    request.session[SIGNED_IN_AT] = timezone.now().isoformat()


def password_proven_at(request: HttpRequest) -> datetime | None:
    """Return when the password was last proven, None if the session does not say."""
    try:
        return datetime.fromisoformat(request.session.get(SIGNED_IN_AT, ""))
    except (TypeError, ValueError):
        return None


def is_password_recent(proven_at: datetime | None, now: datetime) -> bool:
    """Return whether the password was entered within ``MFA_RECENT_SIGN_IN``."""
    return proven_at is not None and proven_at <= now < proven_at + settings.MFA_RECENT_SIGN_IN


def remember_set_up(request: HttpRequest, device_id: int) -> None:
    """Tie a set-up to this session: another session never sees its key."""
    request.session[SET_UP] = device_id


def set_up_of_session(request: HttpRequest) -> int | None:
    device_id = request.session.get(SET_UP)
    return device_id if isinstance(device_id, int) else None


def forget_set_up(request: HttpRequest) -> None:
    request.session.pop(SET_UP, None)
