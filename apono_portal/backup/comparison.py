"""What a restore would undo: a backup compared with the database in use."""

from collections import Counter
from collections.abc import Iterable, Iterator

from django.db import DatabaseError, connections

from apono_portal.backup.archive import BackupError
from apono_portal.backup.snapshot import Snapshot, take_snapshot
from audit.events import EventName
from audit.models import ChainEntry, Event
from requests_app.models import AccessRequest, Status

MAX_LISTED = 50
PREVIOUS = "previous"
# Changes of which each is named: who undoes them by hand needs to know whose they are.
NAMED = (
    EventName.USER_CHANGE,
    EventName.USER_DEACTIVATE,
    EventName.USER_CHANGE_PASSWORD,
    EventName.GROUP_CHANGE,
    EventName.MFA_RESET,
    EventName.MFA_REMOVE_METHOD,
    EventName.FLOW_CHANGE,
    EventName.FLOW_DEACTIVATE,
    EventName.INTEGRATION_DISABLE,
    EventName.TOKEN_REVOKE,
    EventName.DIRECTORY_REVOKE_TOKEN,
)


def current_snapshot(using: str) -> Snapshot | None:
    """Return what the database in use holds, None for an empty one. Raises `BackupError`."""
    try:
        if not connections[using].introspection.table_names():
            return None
        return take_snapshot(using)
    except DatabaseError as error:
        raise BackupError(
            f"The database in use cannot be compared ({type(error).__name__}): it does not answer, or is of "
            "another release. Unset PREVIOUS_DATABASE_URL to restore without it."
        ) from None


def describe_changes(*, backup: Snapshot, current: Snapshot, using: str) -> Iterator[str]:
    """Yield lines about everything that the backup does not know."""
    if not _continues(backup, using):
        yield "The audit log of the backup is not an earlier state of the one in use: find out why before you restore."
    known = {grant.id for grant in backup.grants}
    unknown = [grant for grant in current.grants if grant.id not in known]
    yield from _listed("Live access that the backup does not know", map(str, unknown))
    yield from _listed("Requests that would go back to an older status", _gone_back(backup, using))
    lost = current.last_request - backup.last_request
    if lost > 0:
        first, last = backup.last_request + 1, current.last_request
        yield f"Requests that are not in the backup: AR-{first} to AR-{last}. Their numbers are not used again."
    yield from _lost_events(backup, using)


def _continues(backup: Snapshot, using: str) -> bool:
    """Whether the chain in use had the backup's end. Retention may have removed that entry since."""
    entries = ChainEntry.objects.using(using)
    entry = entries.filter(position=backup.position).first()
    if entry is None:
        return not backup.position or entries.filter(position__gt=backup.position).exists()
    return entry.chain_hash == backup.chain_hash


def _gone_back(backup: Snapshot, using: str) -> Iterator[str]:
    requests = AccessRequest.objects.using(using).filter(pk__in=map(int, backup.requests))
    for pk, status in requests.order_by("pk").values_list("pk", "status"):
        before = backup.requests[str(pk)]
        if status != before:
            yield f"AR-{pk} from {Status(status).label} to {Status(before).label}"


def _lost_events(backup: Snapshot, using: str) -> Iterator[str]:
    lost = Event.objects.using(using).filter(pk__gt=backup.last_event).order_by("pk")
    counts = Counter(lost.order_by().values_list("event", flat=True))
    total = sum(counts.values())
    yield f"Events of the audit log that are not in the backup: {total:,}"
    for event, number in counts.most_common():
        yield f"  {EventName(event).label}: {number}"
    named = lost.filter(event__in=NAMED)
    lines = (
        f"{event.at:%Y-%m-%d %H:%M} {event.get_event_display()}: {event.target_label}"
        for event in named[: MAX_LISTED + 1]
    )
    yield from _listed("Changes to repeat by hand", lines)


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = list(lines)
    yield f"{title}: {len(items) or 'none'}"
    for item in items[:MAX_LISTED]:
        yield f"  {item}"
    if len(items) > MAX_LISTED:
        yield f"  and {len(items) - MAX_LISTED} more"
