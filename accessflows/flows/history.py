"""The version history of a flow: every version is kept, with its terms and who saved it."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils import timezone

from accessflows.flows.diff import Difference, describe_terms, difference
from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.models import AccessFlow, FlowVersion
from audit.events import EventName
from audit.models import Event
from audit.services import SYSTEM_LABEL

if TYPE_CHECKING:
    from apono_portal.users.models import User

# Events shown between the versions.
LIFECYCLE_EVENTS = (
    EventName.FLOW_ACTIVATE,
    EventName.FLOW_DEACTIVATE,
    EventName.FLOW_MANAGE,
    EventName.FLOW_RELEASE,
    EventName.FLOW_DELETE,
)
MAX_EVENTS = 200
PAGE_SIZE = 25


def create_version(*, flow: AccessFlow, changed_by: "User | None") -> FlowVersion:
    """Update the flow's fingerprint and keep its terms as a new version, in the caller's transaction."""
    terms = terms_of(flow)
    flow.version += 1
    flow.fingerprint = fingerprint_of(terms)
    flow.changed_at = timezone.now()
    flow.save(update_fields=["version", "fingerprint", "changed_at"])
    return FlowVersion.objects.create(
        flow=flow,
        version=flow.version,
        fingerprint=flow.fingerprint,
        terms=terms,
        changed_by_label=str(changed_by or SYSTEM_LABEL)[:320],
        at=flow.changed_at,
    )


def last_difference(flow: AccessFlow) -> list[Difference]:
    """Return what the newest version changed; nothing for the first."""
    newest = list(flow.versions.order_by("-version")[:2])
    return difference(newest[1].terms, newest[0].terms) if len(newest) == 2 else []


@dataclass(frozen=True)
class HistoryEntry:
    """One entry of a flow's history: a version with what it changed, or a lifecycle event."""

    at: datetime
    by: str
    version: FlowVersion | None = None
    differences: tuple[Difference, ...] = ()
    event: Event | None = None

    @property
    def terms(self) -> list[tuple[str, str]]:
        """All terms of the version as (label, value)."""
        return describe_terms(self.version.terms) if self.version else []


def versions_of(flow_id: int) -> QuerySet[FlowVersion]:
    """Return all versions of a flow, newest first, also of a deleted one."""
    return FlowVersion.objects.filter(flow_id=flow_id).order_by("-version")


def flow_events(flow_id: int) -> QuerySet[Event]:
    """Return the audit events about a flow, latest first."""
    return Event.objects.filter(target_type=AccessFlow._meta.label_lower, target_id=str(flow_id))


def history_page(
    flow_id: int, number: str | None
) -> tuple["Page[FlowVersion]", list[HistoryEntry]]:
    """Return a page of versions, and its entries with the events of that time, latest first."""
    versions = versions_of(flow_id)
    page = Paginator(versions, PAGE_SIZE).get_page(number)
    shown = list(page)
    previous = versions.filter(version__lt=shown[-1].version).first() if shown else None
    older = [*shown[1:], previous] if shown else []
    entries = [
        _version_entry(version, before) for version, before in zip(shown, older, strict=True)
    ]
    events = flow_events(flow_id).filter(event__in=LIFECYCLE_EVENTS)
    if page.has_next():
        events = events.filter(at__gte=shown[-1].at)
    if page.has_previous():
        newer = versions.filter(version__gt=shown[0].version).last()
        events = events.filter(at__lt=newer.at) if newer else events
    entries += [
        HistoryEntry(event.at, event.actor_label, event=event) for event in events[:MAX_EVENTS]
    ]
    return page, sorted(entries, key=lambda entry: entry.at, reverse=True)


def _version_entry(version: FlowVersion, before: FlowVersion | None) -> HistoryEntry:
    changed = difference(before.terms, version.terms) if before else []
    return HistoryEntry(
        version.at, version.changed_by_label, version=version, differences=tuple(changed)
    )
