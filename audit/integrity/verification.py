"""Verification of the log in the database, and the record of its result."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.integrity.chain import chain_state
from audit.integrity.records import latest_stub, log_records
from audit.integrity.signing_keys import public_keys
from audit.models import ChainState
from audit.services import record
from audit.verify_export.report import Finding, Report
from audit.verify_export.signed_notes import CheckpointNote
from audit.verify_export.verifier import Verifier

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_FINDINGS_RECORDED = 20
row_checks: list[Callable[[], Iterator[str]]] = []  # of apps whose rows the log must know


def verify_log(
    *,
    actor: "User | None" = None,
    expected: tuple[int, str] | None = None,
    saved: Sequence[CheckpointNote] = (),
    client_info: ClientInfo = SYSTEM,
) -> Report:
    """Verify the whole chain and record the result. Nothing is locked meanwhile.

    ``saved`` are signed checkpoints kept elsewhere, ``expected`` is number and hash of a checkpoint.
    Without the latter, the checkpoint last verified must still be there, so that a log cut off since
    then is detected.
    """
    report = new_verifier(expected, saved).run(log_records())
    check_rows(report)
    with transaction.atomic():
        record_result(report=report, actor=actor, client_info=client_info)
    return report


def new_verifier(
    expected: tuple[int, str] | None = None, saved: Sequence[CheckpointNote] = ()
) -> Verifier:
    return Verifier(
        chain_keys(),
        expected or _last_verified_checkpoint(),
        public_keys=public_keys(),
        saved=saved,
    )


def check_rows(report: Report) -> None:
    """Compare other apps' rows with the log. Reads for as long as there are rows."""
    for find in row_checks:
        for sentence in find():
            report.add(Finding("forged", sentence))


def record_result(*, report: Report, actor: "User | None", client_info: ClientInfo) -> None:
    """Record the result. Call in a transaction."""
    checkpoint, checkpoint_hash = report.last_checkpoint
    event = record(
        event=EventName.AUDIT_VERIFY,
        actor=actor,
        client_info=client_info,
        metadata={
            "events": report.events,
            "through_event": report.last_event_id,
            "checkpoint": checkpoint,
            "hash": checkpoint_hash,
            "findings": first_findings(report),
        },
    )
    _update_state(report, event.actor_label)


def first_findings(report: Report) -> list[str]:
    return [str(finding) for finding in report.findings[:MAX_FINDINGS_RECORDED]]


def _last_verified_checkpoint() -> tuple[int, str] | None:
    """Return the checkpoint to look for, unless retention has removed it since."""
    state, stub = chain_state(), latest_stub()
    number = state.verified_checkpoint
    if not number or (stub and number <= stub.through_checkpoint):
        return None
    return number, state.verified_hash


def _update_state(report: Report, verified_by: str) -> None:
    values: dict[str, object] = {
        "verified_at": timezone.now(),
        "verified_by_label": verified_by,
        "verified_event_id": report.last_event_id,
        "findings": len(report.findings) + report.more_findings,
        "first_finding": str(report.findings[0]) if report.findings else "",
    }
    if report.ok:
        number, checkpoint_hash = report.last_checkpoint
        values |= {"verified_checkpoint": number, "verified_hash": checkpoint_hash}
    ChainState.objects.update_or_create(pk=ChainState.SINGLETON_PK, defaults=values)
