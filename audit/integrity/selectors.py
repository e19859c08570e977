"""Where the chain of the audit log stands."""

from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery

from apono_portal.core.db.prepared import prepared
from audit.events import EventName
from audit.log.selectors import LAST
from audit.models import ChainEntry, ChainState, Checkpoint, Event


@dataclass(frozen=True)
class Standing:
    """How far the log is sealed, to which event, and what the last verification found."""

    seal: Checkpoint | None
    through: int | None
    state: ChainState


def chain_standing() -> Standing:
    seal = _latest_seal.first()
    return Standing(seal, seal.through if seal else None, _state.first() or ChainState())


@prepared()
def _latest_seal() -> QuerySet[Checkpoint]:
    place = ChainEntry.objects.filter(position=OuterRef("last_position"))
    through = Subquery(place.values("event_id")[:1])
    return Checkpoint.objects.annotate(through=through).order_by("-number")[:1]


@prepared()
def _state() -> QuerySet[ChainState]:
    return ChainState.objects.filter(pk=ChainState.ONLY)


def last_verifications() -> list[Event]:
    """Return the latest verifications, by whomever and wherever they were asked for."""
    return list(Event.objects.filter(event=EventName.AUDIT_VERIFY).order_by("-pk")[:LAST])


def sealed_place(event: Event) -> ChainEntry | None:
    return ChainEntry.objects.filter(event_id=event.pk).first()
