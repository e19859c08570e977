"""How an integration's health changed, from the audit log."""

from dataclasses import dataclass
from datetime import datetime

from accessflows.models import Integration
from audit.events import EventName
from audit.models import Event

MAX_CHANGES = 10
MAX_EVENTS = 100


@dataclass(frozen=True)
class HealthChange:
    """From when on an integration had a health, and which checks failed."""

    at: datetime
    health: str
    label: str
    failed: tuple[str, ...]


def health_history(integration: Integration) -> list[HealthChange]:
    """Return the latest changes, newest first. Checks with the same result are one entry."""
    events = Event.objects.about_target(integration).filter(event=EventName.INTEGRATION_CHECK)
    changes: list[HealthChange] = []
    for event in reversed(list(events.order_by("-pk")[:MAX_EVENTS])):
        health = str(event.metadata.get("health", ""))
        failed = tuple(str(name) for name in event.metadata.get("failed", ()))
        if health not in Integration.Health.values:
            continue  # a check that was requested, or whose worker stopped
        if not changes or (changes[-1].health, changes[-1].failed) != (health, failed):
            label = str(Integration.Health(health).label)
            changes.append(HealthChange(event.at, health, label, failed))
    return changes[::-1][:MAX_CHANGES]
