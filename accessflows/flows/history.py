"""Versions of a flow: every one is kept, with its terms in words and who made it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils import timezone

from accessflows.flows.diff import Difference, difference, in_words
from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.models import AccessFlow, FlowVersion
from audit.events import EventName
from audit.models import Event

# What happens to a flow beside its versions.
SWITCHES = (EventName.FLOW_ACTIVATE, EventName.FLOW_DEACTIVATE, EventName.FLOW_DELETE)
PAGE_SIZE = 25


def create_version(*, flow: AccessFlow, changed_by: Any) -> FlowVersion:
    """Take the flow's fingerprint and keep its terms as a new version, inside a service's transaction."""
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
        changed_by_label=str(changed_by)[:320],
        at=flow.changed_at,
    )


def last_difference(flow: AccessFlow) -> list[Difference]:
    """Return what the newest version changed; nothing for the first."""
    newest = list(flow.versions.order_by("-version")[:2])
    return difference(newest[1].terms, newest[0].terms) if len(newest) == 2 else []


@dataclass(frozen=True)
class Entry:
    """One line of a flow's history: a version with what it changed, or a switch on, off or out."""

    at: datetime
    by: str
    version: FlowVersion | None = None
    differences: tuple[Difference, ...] = ()
    event: Event | None = None

    @property
    def terms(self) -> list[tuple[str, str]]:
        """All terms of the version, as the form says them."""
        return in_words(self.version.terms) if self.version else []


def versions_of(number: int) -> QuerySet[FlowVersion]:
    """Return all versions of a flow, the newest first, also of one that is deleted."""
    return FlowVersion.objects.filter(flow_id=number).order_by("-version")


def events_about(flow: AccessFlow | None = None, *, number: int | None = None) -> QuerySet[Event]:
    """Return what the audit log says about a flow, the latest first."""
    about = str(flow.pk if flow else number)
    return Event.objects.filter(target_type=AccessFlow._meta.label_lower, target_id=about)


def history_of(number: int, page: str | None) -> tuple["Page[FlowVersion]", list[Entry]]:
    """Return a page of versions, and what happened in its time, the latest first."""
    versions = versions_of(number)
    found = Paginator(versions, PAGE_SIZE).get_page(page)
    shown = list(found)
    before = versions.filter(version__lt=shown[-1].version).first() if shown else None
    older = [*shown[1:], before] if shown else []
    entries = [_entry(each, than) for each, than in zip(shown, older, strict=True)]
    switches = events_about(number=number).filter(event__in=SWITCHES)
    if found.has_next():
        switches = switches.filter(at__gte=shown[-1].at)
    if found.has_previous():
        newer = versions.filter(version__gt=shown[0].version).last()
        switches = switches.filter(at__lt=newer.at) if newer else switches
    entries += [Entry(each.at, each.actor_label, event=each) for each in switches[:200]]
    return found, sorted(entries, key=lambda entry: entry.at, reverse=True)


def _entry(version: FlowVersion, before: FlowVersion | None) -> Entry:
    changed = difference(before.terms, version.terms) if before else []
    return Entry(version.at, version.changed_by_label, version=version, differences=tuple(changed))
