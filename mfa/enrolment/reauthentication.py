"""When the password was last proven in this session, and which set-up it began."""

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone

SIGNED_IN_AT = "signed_in_at"
SET_UP = "mfa_set_up"


def stamp_password(request: HttpRequest) -> None:
    """Remember in the session that the password was proven just now."""
    request.session[SIGNED_IN_AT] = timezone.now().isoformat()


def password_proven_at(request: HttpRequest) -> datetime | None:
    """Return when that was, None if the session does not say."""
    try:
        return datetime.fromisoformat(request.session.get(SIGNED_IN_AT, ""))
    except (TypeError, ValueError):
        return None


def remember_set_up(request: HttpRequest, device_id: int) -> None:
    """Tie a set-up to this session, by number: another session never sees its key."""
    request.session[SET_UP] = device_id


def set_up_begun_here(request: HttpRequest) -> int | None:
    begun = request.session.get(SET_UP)
    return begun if isinstance(begun, int) else None


def forget_set_up(request: HttpRequest) -> None:
    request.session.pop(SET_UP, None)
