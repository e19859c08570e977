"""The timeline of a request. Reads snapshots only, so it outlives users, flows and integrations."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.dateparse import parse_datetime

from apono_portal.core.formatting.datetimes import person, relative_datetime
from apono_portal.core.formatting.durations import format_duration
from audit.events import EventName
from audit.models import Event
from requests_app.grants.proof_text import proof_facts

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_OBJECTS_NAMED = 5

Metadata = dict[str, Any]
Text = tuple[str, str, str]  # lead, rest, detail; an empty lead is the event's own name
Describe = Callable[[Metadata, str], Text]  # from the metadata and the actor's name


@dataclass(frozen=True)
class Entry:
    """One line. ``lead`` is in bold, ``detail`` below it, ``colour`` that of its dot."""

    at: datetime
    colour: str
    lead: str
    rest: str
    detail: str


def timeline_of(events: list[Event], viewer: "User") -> list[Entry]:
    return [_entry(event, viewer) for event in events]


def _entry(event: Event, viewer: "User") -> Entry:
    actor = "you" if event.actor_id == viewer.pk else person(event.actor_label)
    if event.actor_id is None:
        actor = "the portal"
    colour, describe = _DESCRIPTIONS.get(
        event.event, ("", lambda m, actor: ("", f"by {actor}", ""))
    )
    lead, rest, detail = describe(event.metadata, actor)
    source = f"from {event.address}" if event.address else ""
    detail = " · ".join(filter(None, [detail, source]))
    return Entry(event.at, colour, lead or event.get_event_display(), rest, detail)


def _reason(metadata: Metadata) -> str:
    return str(metadata.get("reason") or "")


def _quoted_reason(metadata: Metadata) -> str:
    return f"“{metadata['reason']}”" if metadata.get("reason") else ""


def _time(metadata: Metadata, key: str) -> str:
    instant = parse_datetime(str(metadata.get(key) or ""))
    return relative_datetime(instant) if instant else ""


def _object_list(objects: list[Metadata]) -> str:
    """Name the first objects; all are in the audit log."""
    names = [f"{item.get('kind')}: {item.get('name')}" for item in objects[:MAX_OBJECTS_NAMED]]
    more = len(objects) - MAX_OBJECTS_NAMED
    return ", ".join(names) + (f", and {more} more" if more > 0 else "")


def _submission(metadata: Metadata) -> str:
    ticket = f"Ticket {metadata['ticket']}" if metadata.get("ticket") else ""
    verified = "MFA verified within the last hour" if metadata.get("verification") else ""
    return " · ".join(filter(None, [ticket, verified]))


def _extension(metadata: Metadata) -> str:
    number, total = metadata.get("number"), metadata.get("of")
    text = f"Until {_time(metadata, 'until')}, extension {number} of {total}"
    return f"{text}, verified with {metadata['with']}" if metadata.get("with") else text


_DESCRIPTIONS: dict[str, tuple[str, Describe]] = {
    EventName.REQUEST_SUBMIT: (
        "",
        lambda m, actor: ("Requested", f"by {actor} via {m.get('flow', '')}", _submission(m)),
    ),
    EventName.REQUEST_AWAIT_MFA: (
        "amber",
        lambda m, actor: ("Pending MFA", "", _reason(m) or f"Until {_time(m, 'until')}"),
    ),
    EventName.REQUEST_RELEASE: (
        "green",
        lambda m, actor: ("MFA verified", f"by {actor}", f"Verified with {m.get('with', '')}"),
    ),
    EventName.REQUEST_APPROVE: (
        "",
        lambda m, actor: ("Approved", f"by {actor}", _quoted_reason(m)),
    ),
    EventName.REQUEST_VOID_APPROVAL: (
        "amber",
        lambda m, actor: ("Approval voided", f"of {m.get('approver', '')}", _reason(m)),
    ),
    EventName.REQUEST_REOPEN: (
        "amber",
        lambda m, actor: ("Pending approval again", "", _reason(m)),
    ),
    EventName.REQUEST_REJECT: (
        "red",
        lambda m, actor: ("Rejected", f"by {actor}", _quoted_reason(m)),
    ),
    EventName.REQUEST_CANCEL: ("", lambda m, actor: ("Cancelled", f"by {actor}", _reason(m))),
    EventName.REQUEST_LAPSE: ("", lambda m, actor: ("Lapsed", "", _reason(m))),
    EventName.REQUEST_GRANT: (
        "",
        lambda m, actor: (
            "Provisioning started",
            "",
            f"Expires at {_time(m, 'deadline')} at the latest",
        ),
    ),
    EventName.REQUEST_BREAK_GLASS: (
        "red",
        lambda m, actor: ("Break-glass", "used without approval", "All admins are notified"),
    ),
    EventName.REQUEST_REVIEW: (
        "",
        lambda m, actor: (
            "Reviewed",
            f"by {actor}: {str(m.get('verdict', '')).replace('_', ' ')}",
            _quoted_reason(m),
        ),
    ),
    EventName.REQUEST_ACTIVATE: (
        "green",
        lambda m, actor: ("Access granted", "", f"Until {_time(m, 'until')}"),
    ),
    EventName.REQUEST_REMIND: (
        "amber",
        lambda m, actor: ("Expires soon", "", f"At {_time(m, 'until')}"),
    ),
    EventName.REQUEST_FAIL: ("red", lambda m, actor: ("Provisioning failed", "", _reason(m))),
    EventName.REQUEST_BEGIN_REVOCATION: (
        "",
        lambda m, actor: ("Revocation started", f"by {actor}", _reason(m)),
    ),
    EventName.REQUEST_ESCALATE: (
        "amber",
        lambda m, actor: (
            "Escalated",
            f"to {m.get('group', '')}",
            f"No decision within {format_duration(timedelta(seconds=m.get('waited_s') or 0))}",
        ),
    ),
    EventName.REQUEST_REQUEST_EXTENSION: (
        "",
        lambda m, actor: ("Extension requested", f"by {actor}", _extension(m)),
    ),
    EventName.REQUEST_EXTEND: ("green", lambda m, actor: ("Extended", "", _extension(m))),
    EventName.REQUEST_REFUSE_EXTENSION: (
        "red",
        lambda m, actor: ("Not extended", "", _reason(m)),
    ),
    EventName.REQUEST_EXPIRE: ("", lambda m, actor: ("Expired", "", "Removal verified")),
    EventName.REQUEST_REVOKE: ("", lambda m, actor: ("Revoked", "", "Removal verified")),
    EventName.GRANT_ACTIVATE: (
        "",
        lambda m, actor: (
            "Login created",
            f"on {m.get('integration', '')}",
            str(m.get("login", "")),
        ),
    ),
    EventName.GRANT_REVEAL: ("amber", lambda m, actor: ("Credential revealed", f"to {actor}", "")),
    EventName.GRANT_RESET: (
        "amber",
        lambda m, actor: (
            "Credential reset",
            f"by {actor}",
            "Open sessions terminated"
            if m.get("sessions_terminated")
            else "Open sessions continue",
        ),
    ),
    EventName.GRANT_CONTAIN: (
        "",
        lambda m, actor: (
            "Access revoked",
            "on the target",
            f"Open sessions terminated: {m.get('sessions_terminated', 0)}",
        ),
    ),
    EventName.GRANT_PROVE: (
        "",
        lambda m, actor: (
            "Removal verified",
            "on the target",
            proof_facts(m.get("proof", {})).capitalize(),
        ),
    ),
    EventName.GRANT_CLOSE: (
        "red",
        lambda m, actor: (
            "Closed without proof",
            f"by {actor} because the server is gone",
            _reason(m),
        ),
    ),
    EventName.GRANT_RETRY: ("red", lambda m, actor: ("", "", _reason(m))),
    EventName.GRANT_DRIFT: ("red", lambda m, actor: ("", "", _reason(m))),
    EventName.GRANT_FIND_OWNED_OBJECTS: (
        "amber",
        lambda m, actor: (
            "Objects left behind",
            "on the target",
            _object_list(m.get("left_behind", [])),
        ),
    ),
    EventName.GRANT_FIND_PERMISSION_CHANGES: (
        "red",
        lambda m, actor: (
            "Rights given to others",
            "on the target",
            "; ".join(one["text"] for one in m.get("given_to_others", [])),
        ),
    ),
}
