"""From an event on the record to what there is to tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from accessflows.models import AccessFlow
from apono_portal.notifications.kinds import Kind
from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest, Grant, GrantState, Status

NAMED = 5  # of many things that happened at once


@dataclass(frozen=True)
class Notification:
    """Something to tell. ``useful_until`` is when it is of no more use, ``also`` what came with it."""

    event: Event
    kind: Kind
    request: AccessRequest | None = None
    useful_until: datetime | None = None
    also: list[Event] = field(default_factory=list)

    @property
    def told(self) -> dict[str, object]:
        told: dict[str, object] = self.event.metadata
        return told

    @property
    def reason(self) -> str:
        return str(self.told.get("reason") or "")

    @property
    def subject_request(self) -> AccessRequest:
        if self.request is None:
            raise LookupError(f"Event {self.event.pk} concerns no request that is still there.")
        return self.request


def news_of(event: Event, request: AccessRequest | None) -> Notification | None:
    """Return what an event tells, None if it tells nothing or is history by now."""
    if event.event in _ABOUT_REQUESTS:
        if request is None:
            return None
        kind = _ABOUT_REQUESTS[event.event](event, request)
        return Notification(event, kind, request, _useful_until(kind, request)) if kind else None
    if event.event in _ABOUT_THE_REST:
        kind = _ABOUT_THE_REST[event.event](event)
        return Notification(event, kind, request) if kind else None
    return None


def bundled(news: list[Notification]) -> list[Notification]:
    """Put drift that was noticed on one target at one look together: one mail, not a hundred."""
    first: dict[tuple[str, object], Notification] = {}
    kept = []
    for each in news:
        key = (each.event.event, each.told.get("integration") or each.event.target_id)
        if each.kind != Kind.DRIFT:
            kept.append(each)
        elif key in first:
            first[key].also.append(each.event)
        else:
            first[key] = each
            kept.append(each)
    return kept


def _useful_until(kind: Kind, request: AccessRequest) -> datetime | None:
    if kind in {Kind.DECISION_NEEDED, Kind.ESCALATED, Kind.CODE_NEEDED}:
        return request.pending_until
    return request.ends_at if kind == Kind.ENDS_SOON else None


def _submitted(event: Event, request: AccessRequest) -> Kind | None:
    """One that was pending_mfa goes to its approvers when it is released."""
    was_parked = event.metadata.get("require_mfa") and not event.metadata.get("verification")
    return None if was_parked else _waiting(event, request)


def _waiting(event: Event, request: AccessRequest) -> Kind | None:
    return Kind.DECISION_NEEDED if request.status == Status.PENDING_APPROVAL else None


def _parked(event: Event, request: AccessRequest) -> Kind | None:
    """Who parks a request by draft is on the page that says so."""
    by_portal = event.actor_id is None and request.status == Status.PENDING_MFA
    return Kind.CODE_NEEDED if by_portal else None


def _approved(event: Event, request: AccessRequest) -> Kind | None:
    return None if event.metadata.get("waits_for_others") else Kind.DECIDED


def _always(kind: Kind) -> Callable[..., Kind | None]:
    return lambda *_: kind


_ABOUT_REQUESTS: dict[str, Callable[[Event, AccessRequest], Kind | None]] = {
    EventName.REQUEST_SUBMIT: _submitted,
    EventName.REQUEST_RELEASE: _waiting,
    EventName.REQUEST_AWAIT_MFA: _parked,
    EventName.REQUEST_REOPEN: _waiting,
    EventName.REQUEST_ESCALATE: _always(Kind.ESCALATED),
    EventName.REQUEST_APPROVE: _approved,
    EventName.REQUEST_REJECT: _always(Kind.DECIDED),
    EventName.REQUEST_CANCEL: _always(Kind.CLOSED),
    EventName.REQUEST_LAPSE: _always(Kind.CLOSED),
    EventName.REQUEST_ACTIVATE: _always(Kind.ACTIVE),
    EventName.REQUEST_EXTEND: _always(Kind.EXTENDED),
    EventName.REQUEST_REMIND: _always(Kind.ENDS_SOON),
    EventName.REQUEST_EXPIRE: _always(Kind.ENDED),
    EventName.REQUEST_REVOKE: _always(Kind.ENDED),
    EventName.REQUEST_FAIL: _always(Kind.FAILED),
}


def _held_up(event: Event) -> Kind | None:
    """An end that its target does not carry out, told once for each grant."""
    if event.metadata.get("step") != "contain":
        return None
    grant = Grant.objects.filter(pk=event.target_id, contained_at=None).first()
    if grant is None or grant.state == GrantState.ENDED:
        return None
    before = Event.objects.about_target(grant).filter(
        event=EventName.GRANT_RETRY, metadata__step="contain", pk__lt=event.pk
    )
    return None if before.exists() else Kind.STUCK


def _unwell(event: Event) -> Kind | None:
    return Kind.TARGET if event.metadata.get("health") != "healthy" else None


_ABOUT_THE_REST: dict[str, Callable[[Event], Kind | None]] = {
    EventName.GRANT_RETRY: _held_up,
    EventName.GRANT_DRIFT: _always(Kind.DRIFT),
    EventName.GRANT_CUT_UNKNOWN: _always(Kind.DRIFT),
    EventName.INTEGRATION_CHECK: _unwell,
    EventName.MFA_SET_UP: _always(Kind.SECURITY),
    EventName.MFA_RESET: _always(Kind.SECURITY),
    EventName.MFA_LOCK_OUT: _always(Kind.SECURITY),
    EventName.MFA_LIFT_LOCKOUT: _always(Kind.SECURITY),
    EventName.SESSION_LOCK_OUT: _always(Kind.SECURITY),
    EventName.USER_CHANGE_PASSWORD: _always(Kind.SECURITY),
}
TELLING = frozenset([*_ABOUT_REQUESTS, *_ABOUT_THE_REST])


def waited_for_people(request: AccessRequest) -> bool:
    return request.approval != AccessFlow.Approval.AUTOMATIC
