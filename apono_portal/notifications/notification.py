"""Notifications that follow from audit events."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from apono_portal.notifications.kinds import Kind
from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest, Grant, GrantState, Status


@dataclass(frozen=True)
class Notification:
    """An event to notify about. After ``useful_until`` it is pointless; ``merged`` are later events."""

    event: Event
    kind: Kind
    request: AccessRequest | None = None
    useful_until: datetime | None = None
    merged: list[Event] = field(default_factory=list)

    @property
    def metadata(self) -> dict[str, Any]:
        metadata: dict[str, Any] = self.event.metadata
        return metadata

    @property
    def reason(self) -> str:
        return str(self.metadata.get("reason") or "")

    @property
    def subject_request(self) -> AccessRequest:
        if self.request is None:
            raise LookupError(f"Event {self.event.pk} has no request, or it was deleted.")
        return self.request


def notification_for(event: Event, request: AccessRequest | None) -> Notification | None:
    """Return the notification that an event calls for, None if none does or it is out of date."""
    if event.event in _REQUEST_EVENTS:
        if request is None:
            return None
        kind = _REQUEST_EVENTS[event.event](event, request)
        return Notification(event, kind, request, _useful_until(kind, request)) if kind else None
    if event.event in _OTHER_EVENTS:
        kind = _OTHER_EVENTS[event.event](event)
        return Notification(event, kind, request) if kind else None
    return None


def merge(notifications: list[Notification]) -> list[Notification]:
    """Merge the drift of one target into one notification, so that it is one email, not a hundred."""
    first: dict[tuple[str, object], Notification] = {}
    merged = []
    for notification in notifications:
        event = notification.event
        key = (event.event, notification.metadata.get("integration") or event.target_id)
        if notification.kind == Kind.DRIFT and key in first:
            first[key].merged.append(event)
        else:
            first[key] = notification
            merged.append(notification)
    return merged


def _useful_until(kind: Kind, request: AccessRequest) -> datetime | None:
    if kind in {Kind.DECISION_NEEDED, Kind.ESCALATED, Kind.CODE_NEEDED}:
        return request.pending_until
    return request.ends_at if kind == Kind.EXPIRES_SOON else None


def _submitted(event: Event, request: AccessRequest) -> Kind | None:
    """Skip requests that wait for MFA: approvers are notified when they are released."""
    is_pending_mfa = event.metadata.get("require_mfa") and not event.metadata.get("verification")
    return None if is_pending_mfa else _pending(event, request)


def _pending(event: Event, request: AccessRequest) -> Kind | None:
    return Kind.DECISION_NEEDED if request.status == Status.PENDING_APPROVAL else None


def _pending_mfa(event: Event, request: AccessRequest) -> Kind | None:
    """Skip users who are asked for a code on the page where they submit the request."""
    is_automatic = event.actor_id is None and request.status == Status.PENDING_MFA
    return Kind.CODE_NEEDED if is_automatic else None


def _approved(event: Event, request: AccessRequest) -> Kind | None:
    return None if event.metadata.get("needs_more_approvals") else Kind.DECIDED


def _always(kind: Kind) -> Callable[..., Kind | None]:
    return lambda *_: kind


_REQUEST_EVENTS: dict[str, Callable[[Event, AccessRequest], Kind | None]] = {
    EventName.REQUEST_SUBMIT: _submitted,
    EventName.REQUEST_RELEASE: _pending,
    EventName.REQUEST_AWAIT_MFA: _pending_mfa,
    EventName.REQUEST_REOPEN: _pending,
    EventName.REQUEST_ESCALATE: _always(Kind.ESCALATED),
    EventName.REQUEST_APPROVE: _approved,
    EventName.REQUEST_REJECT: _always(Kind.DECIDED),
    EventName.REQUEST_CANCEL: _always(Kind.CLOSED),
    EventName.REQUEST_LAPSE: _always(Kind.CLOSED),
    EventName.REQUEST_BREAK_GLASS: _always(Kind.BREAK_GLASS),
    EventName.REQUEST_REVIEW: _always(Kind.BREAK_GLASS),
    EventName.REQUEST_ACTIVATE: _always(Kind.ACTIVE),
    EventName.REQUEST_EXTEND: _always(Kind.EXTENDED),
    EventName.REQUEST_REMIND: _always(Kind.EXPIRES_SOON),
    EventName.REQUEST_EXPIRE: _always(Kind.ENDED),
    EventName.REQUEST_REVOKE: _always(Kind.ENDED),
    EventName.REQUEST_FAIL: _always(Kind.FAILED),
}


def _revocation_failed(event: Event) -> Kind | None:
    """Return the kind for the first failure to contain a grant that is still not contained."""
    if event.metadata.get("step") != "contain":
        return None
    grant = Grant.objects.filter(pk=event.target_id, contained_at=None).first()
    if grant is None or grant.state == GrantState.REMOVED:
        return None
    earlier = Event.objects.about_target(grant).filter(
        event=EventName.GRANT_RETRY, metadata__step="contain", pk__lt=event.pk
    )
    return None if earlier.exists() else Kind.REVOCATION_DELAYED


def _unhealthy(event: Event) -> Kind | None:
    return Kind.INTEGRATION if event.metadata.get("health") != "healthy" else None


def _tampering(event: Event) -> Kind | None:
    """Return the kind unless there was an alarm about the same row in the last day."""
    earlier = Event.objects.filter(
        event=event.event,
        target_type=event.target_type,
        target_id=event.target_id,
        at__gt=event.at - timedelta(days=1),
        pk__lt=event.pk,
    )
    return None if event.target_id and earlier.exists() else Kind.TAMPERING


def _log_altered(event: Event) -> Kind | None:
    return Kind.TAMPERING if event.metadata.get("findings") else None


_OTHER_EVENTS: dict[str, Callable[[Event], Kind | None]] = {
    EventName.GRANT_RETRY: _revocation_failed,
    EventName.GRANT_DRIFT: _always(Kind.DRIFT),
    EventName.GRANT_REMOVE_UNKNOWN: _always(Kind.DRIFT),
    EventName.INTEGRATION_CHECK: _unhealthy,
    EventName.CHANGE_PROPOSE: _always(Kind.CHANGE),
    EventName.CHANGE_CONFIRM: _always(Kind.CHANGE),
    EventName.CHANGE_REJECT: _always(Kind.CHANGE),
    EventName.CHANGE_EXPIRE: _always(Kind.CHANGE),
    EventName.AUDIT_DETECT_TAMPERING: _tampering,
    EventName.AUDIT_RESTORE: _always(Kind.TAMPERING),
    EventName.AUDIT_VERIFY: _log_altered,
    EventName.MFA_SET_UP: _always(Kind.SECURITY),
    EventName.MFA_RESET: _always(Kind.SECURITY),
    EventName.MFA_LOCK_OUT: _always(Kind.SECURITY),
    EventName.MFA_LIFT_LOCKOUT: _always(Kind.SECURITY),
    EventName.SESSION_LOCK_OUT: _always(Kind.SECURITY),
    EventName.SESSION_BREAK_GLASS: _always(Kind.SECURITY),
    EventName.USER_CHANGE_PASSWORD: _always(Kind.SECURITY),
}
NOTIFYING = frozenset([*_REQUEST_EVENTS, *_OTHER_EVENTS])
