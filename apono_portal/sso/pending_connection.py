"""A sign-in at a provider that waits for the owner of the account with its email."""

import time
from dataclasses import asdict, dataclass

from django.http import HttpRequest

SESSION_KEY = "sso_connection"
LIFETIME_S = 900


@dataclass(frozen=True, slots=True)
class PendingConnection:
    """Whom a provider vouched for in this session, a moment ago."""

    provider_id: int
    provider_name: str
    subject: str
    email: str
    at: float


def remember_connection(request: HttpRequest, pending: PendingConnection) -> None:
    request.session[SESSION_KEY] = asdict(pending)


def pending_connection(request: HttpRequest) -> PendingConnection | None:
    """Return what waits in this session, None if nothing does or it is too old."""
    values = request.session.get(SESSION_KEY)
    pending = PendingConnection(**values) if values else None
    return pending if pending and 0 <= time.time() - pending.at < LIFETIME_S else None


def forget_connection(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)


def is_connecting(request: HttpRequest, email: str) -> bool:
    """Return whether a provider vouched for this email in this session a moment ago."""
    pending = pending_connection(request)
    return pending is not None and pending.email == email
