"""When the password was last proven in this session, and which set-up the session began."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from mfa.exceptions import PasswordNotRecent
from mfa.verification.evidence import require_evidence_if_enrolled
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

SIGNED_IN_AT = "signed_in_at"
SET_UP = "mfa_set_up"


def stamp_password(request: HttpRequest) -> None:
    """Store in the session that the password was proven just now."""
    stamp_proof(request, timezone.now())


def stamp_proof(request: HttpRequest, at: datetime | None) -> None:
    """Store in the session when the user proved who they are, by password or at a provider."""
    request.session[SIGNED_IN_AT] = at.isoformat() if at else ""


def password_proven_at(request: HttpRequest) -> datetime | None:
    """Return when the password was last proven, None if the session does not say."""
    try:
        return datetime.fromisoformat(request.session.get(SIGNED_IN_AT, ""))
    except (TypeError, ValueError):
        return None


def is_password_recent(proven_at: datetime | None, now: datetime) -> bool:
    """Return whether the password was entered within ``MFA_RECENT_SIGN_IN``."""
    return proven_at is not None and proven_at <= now < proven_at + settings.MFA_RECENT_SIGN_IN


def require_recent_proof(
    *, user: "User", window: Window | None, password_proven_at: datetime | None
) -> None:
    """Demand, before a method is added, an open window of whoever has one, a recent password of others.

    Call it inside the transaction of what it permits. Raises `WindowClosed` and `PasswordNotRecent`.
    """
    evidence = require_evidence_if_enrolled(user=user, window=window)
    if evidence is None and not is_password_recent(password_proven_at, timezone.now()):
        raise PasswordNotRecent


def remember_set_up(request: HttpRequest, device_id: int) -> None:
    """Tie a set-up to this session: another session never sees its key."""
    request.session[SET_UP] = device_id


def set_up_of_session(request: HttpRequest) -> int | None:
    device_id = request.session.get(SET_UP)
    return device_id if isinstance(device_id, int) else None


def forget_set_up(request: HttpRequest) -> None:
    request.session.pop(SET_UP, None)
