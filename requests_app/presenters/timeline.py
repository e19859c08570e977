"""The record of a request in plain words. Reads snapshots only, so it stays when all else is gone."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime

from apono_portal.core.formatting.datetimes import person, relative_datetime
from apono_portal.core.formatting.durations import format_duration
from audit.events import EventName
from audit.models import Event
from requests_app.grants.proof_text import proof_facts


@dataclass(frozen=True)
class Entry:
    """One line. ``lead`` is in bold, ``detail`` below it, ``colour`` that of its dot."""

    at: datetime
    colour: str
    lead: str
    rest: str
    detail: str


Words = Callable[[dict[str, Any], str], tuple[str, str, str]]


def _said(key: str) -> Words:
    return lambda told, who: ("", "", str(told.get(key) or ""))


def _quoted(told: dict[str, Any], who: str) -> tuple[str, str, str]:
    return "", f"by {who}", f"“{told['reason']}”" if told.get("reason") else ""


def _instant(told: dict[str, Any], key: str) -> str:
    found = parse_datetime(str(told.get(key) or ""))
    return relative_datetime(found) if found else ""


def _things(found: list[dict[str, Any]]) -> str:
    """Name the first of them; all are in the audit log."""
    names = [f"{each.get('kind')}: {each.get('name')}" for each in found[:5]]
    more = f", and {len(found) - 5} more" if len(found) > 5 else ""
    return ", ".join(names) + more


def _asked_with(told: dict[str, Any]) -> str:
    ticket = f"Ticket {told['ticket']}" if told.get("ticket") else ""
    verified = "MFA was verified within the hour before" if told.get("verification") else ""
    return " · ".join(filter(None, [ticket, verified]))


def _extension(told: dict[str, Any]) -> str:
    """Say until when, the how-manieth it is, and with which MFA."""
    said = f"Until {_instant(told, 'until')}, extension {told.get('number')} of {told.get('of')}"
    return f"{said}, with the MFA of {told['with']}" if told.get("with") else said


# Event to (colour, words). Words return (lead, rest, detail); an empty lead is the event's own name.
_WORDS: dict[str, tuple[str, Words]] = {
    EventName.REQUEST_SUBMIT: (
        "",
        lambda t, w: (
            "Requested",
            f"by {w} through {t.get('flow', '')}",
            _asked_with(t),
        ),
    ),
    EventName.REQUEST_AWAIT_MFA: (
        "amber",
        lambda t, w: (
            "Parked until a code is entered",
            "",
            t.get("reason") or f"At the latest {_instant(t, 'until')}",
        ),
    ),
    EventName.REQUEST_RELEASE: (
        "green",
        lambda t, w: ("MFA verified", "and request released", f"By {w}, {t.get('with', '')}"),
    ),
    EventName.REQUEST_APPROVE: ("", lambda t, w: ("Approved", *_quoted(t, w)[1:])),
    EventName.REQUEST_VOID_APPROVAL: (
        "amber",
        lambda t, w: ("Approval void", f"of {t.get('approver', '')}", t.get("reason", "")),
    ),
    EventName.REQUEST_REOPEN: (
        "amber",
        lambda t, w: ("Waits for approval again", "", t.get("reason", "")),
    ),
    EventName.REQUEST_REJECT: ("red", lambda t, w: ("Rejected", *_quoted(t, w)[1:])),
    EventName.REQUEST_CANCEL: ("", lambda t, w: ("Cancelled", f"by {w}", t.get("reason", ""))),
    EventName.REQUEST_LAPSE: ("", lambda t, w: ("Lapsed", "", t.get("reason", ""))),
    EventName.REQUEST_GRANT: (
        "",
        lambda t, w: ("Opening begun", "", f"To end at {_instant(t, 'deadline')} at the latest"),
    ),
    EventName.REQUEST_ACTIVATE: (
        "green",
        lambda t, w: ("Access opened", "", f"Until {_instant(t, 'until')}"),
    ),
    EventName.REQUEST_REMIND: (
        "amber",
        lambda t, w: ("Ends soon", "", f"At {_instant(t, 'until')}"),
    ),
    EventName.REQUEST_FAIL: ("red", lambda t, w: ("Could not be opened", "", t.get("reason", ""))),
    EventName.REQUEST_END: ("", lambda t, w: ("End begun", f"by {w}", t.get("reason", ""))),
    EventName.REQUEST_ESCALATE: (
        "amber",
        lambda t, w: (
            "Nobody decided in time",
            f"so {t.get('group', '')} may decide, too",
            f"After {format_duration(timedelta(seconds=t.get('waited_s') or 0))}",
        ),
    ),
    EventName.REQUEST_ASK_EXTENSION: (
        "",
        lambda t, w: ("More time asked for", f"by {w}", _extension(t)),
    ),
    EventName.REQUEST_EXTEND: ("green", lambda t, w: ("Extended", "", _extension(t))),
    EventName.REQUEST_REFUSE_EXTENSION: (
        "red",
        lambda t, w: ("Not extended", "", str(t.get("reason", ""))),
    ),
    EventName.REQUEST_EXPIRE: ("", lambda t, w: ("Expired", "", "All of it is proven gone")),
    EventName.REQUEST_REVOKE: ("", lambda t, w: ("Revoked", "", "All of it is proven gone")),
    EventName.GRANT_ACTIVATE: (
        "",
        lambda t, w: ("Login made", f"on {t.get('integration', '')}", str(t.get("login", ""))),
    ),
    EventName.GRANT_REVEAL: ("amber", lambda t, w: ("Credential shown", f"to {w}", "")),
    EventName.GRANT_RESET: (
        "amber",
        lambda t, w: (
            "Credential replaced",
            f"by {w}",
            "Open sessions were cut" if t.get("sessions_cut") else "Open sessions went on",
        ),
    ),
    EventName.GRANT_CONTAIN: (
        "",
        lambda t, w: (
            "Access cut",
            "on the target",
            f"Open sessions closed: {t.get('sessions_terminated', 0)}",
        ),
    ),
    EventName.GRANT_PROVE: (
        "",
        lambda t, w: (
            "Proven gone",
            "on the target",
            proof_facts(t.get("proof", {})).capitalize(),
        ),
    ),
    EventName.GRANT_RETRY: ("red", _said("reason")),
    EventName.GRANT_DRIFT: ("red", _said("reason")),
    EventName.GRANT_FIND_OWNED_OBJECTS: (
        "amber",
        lambda t, w: ("Left behind", "on the target", _things(t.get("left_behind", []))),
    ),
}


def timeline_of(events: list[Event], viewer: Any) -> list[Entry]:
    return [_entry(event, viewer) for event in events]


def _entry(event: Event, viewer: Any) -> Entry:
    colour, words = _WORDS.get(event.event, ("", lambda told, who: ("", f"by {who}", "")))
    lead, rest, detail = words(event.metadata, _who(event, viewer))
    lead = lead or event.get_event_display()
    return Entry(event.at, colour, lead, rest, _with_origin(event, detail))


def _who(event: Event, viewer: Any) -> str:
    if event.actor_id is None:
        return "the portal"
    return "you" if event.actor_id == viewer.pk else person(event.actor_label)


def _with_origin(event: Event, detail: str) -> str:
    return " · ".join(filter(None, [detail, f"from {event.address}" if event.address else ""]))
