"""Verifying the log where it lives, and remembering what was found."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.chain import chain_records, chain_state, latest_stub
from audit.models import ChainState
from audit.services import record
from audit.verify_export import FORMAT, Record, Report, Verifier

MOST_TOLD = 20


def verify_log(
    *,
    actor: Any | None = None,
    expected: tuple[int, str] | None = None,
    client_info: ClientInfo = SYSTEM,
) -> Report:
    """Walk the whole chain and put the result on the record. No lock is held meanwhile.

    ``expected`` is a seal noted elsewhere. Without one, the seal that was last found right must still
    be there, so that a log whose end was cut off since then shows.
    """
    report = new_verifier(expected).run(whole_log())
    with transaction.atomic():
        write_down(report=report, actor=actor, client_info=client_info)
    return report


def new_verifier(expected: tuple[int, str] | None = None) -> Verifier:
    return Verifier(chain_keys(), expected or _last_found_right())


def write_down(*, report: Report, actor: Any | None, client_info: ClientInfo) -> None:
    """Remember what was found and put it on the record. Call within a transaction."""
    event = record(
        event=EventName.AUDIT_VERIFY,
        actor=actor,
        client_info=client_info,
        metadata={
            "events": report.events,
            "through_event": report.last_sealed_id,
            "seal": report.head[0],
            "hash": report.head[1],
            "findings": told_findings(report),
        },
    )
    _remember(report, event.actor_label)


def told_findings(report: Report) -> list[str]:
    """Return the first findings as sentences; the rest is for the command."""
    return [str(finding) for finding in report.findings[:MOST_TOLD]]


def whole_log(**told: Any) -> Iterator[Record]:
    """Yield the chain as a whole export holds it, with its first and its last line."""
    events = 0
    yield {"kind": "export", "format": FORMAT, "whole": True, **told}
    for each in chain_records():
        events += each["kind"] == "event"
        yield each
    yield {"kind": "end", "events": events}


def _last_found_right() -> tuple[int, str] | None:
    """Return the seal to look for, unless retention has removed it since."""
    state, stub = chain_state(), latest_stub()
    if not state.verified_seal or (stub and state.verified_seal <= stub.through_seal):
        return None
    return state.verified_seal, state.verified_hash


def _remember(report: Report, by: str) -> None:
    ChainState.objects.bulk_create([ChainState(pk=ChainState.ONLY)], ignore_conflicts=True)
    found: dict[str, Any] = {
        "verified_at": timezone.now(),
        "verified_by_label": by,
        "verified_event_id": report.last_sealed_id,
        "findings": len(report.findings) + report.more_findings,
        "first_finding": str(report.findings[0]) if report.findings else "",
    }
    if report.ok:
        found |= {"verified_seal": report.head[0], "verified_hash": report.head[1]}
    ChainState.objects.filter(pk=ChainState.ONLY).update(**found)
