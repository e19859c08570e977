"""Recording drift and the removal of unknown logins."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from accessflows.connectors.protocol import ManagedAccount, OwnedObjects, Proof
from accessflows.models import Integration
from audit.events import EventName
from audit.services import record, record_many
from requests_app.drift.compare import Finding
from requests_app.models import Drift, GrantState

MAX_LISTED_OBJECTS = 100  # in one event


def record_drift(*, integration: Integration, findings: Collection[Finding]) -> list[Drift]:
    """Store new drift and resolve what is not found any more. Return the new drift."""
    now = timezone.now()
    with transaction.atomic():
        Integration.objects.select_for_update().get(pk=integration.pk)
        open_drift = {
            (drift.login, drift.kind): drift
            for drift in Drift.objects.open()
            .filter(integration=integration)
            .select_related("grant__request")
        }
        by_key = {finding.key: finding for finding in findings}
        resolved = [drift for key, drift in open_drift.items() if key not in by_key]
        new = Drift.objects.bulk_create(
            _row(integration, finding) for key, finding in by_key.items() if key not in open_drift
        )
        Drift.objects.filter(pk__in=[drift.pk for drift in resolved]).update(resolved_at=now)
        _record(EventName.GRANT_DRIFT, integration, new)
        of_active = [d for d in resolved if d.grant and d.grant.state == GrantState.ACTIVE]
        _record(EventName.GRANT_RESOLVE_DRIFT, integration, of_active)
    return new


def record_removal(
    *, integration: Integration, role: ManagedAccount, owned_objects: OwnedObjects, proof: Proof
) -> None:
    """Record that an unknown login was removed, and what it had left behind."""
    record(
        event=EventName.GRANT_REMOVE_UNKNOWN,
        actor=None,
        target=integration,
        metadata={
            "login": role.name,
            "grant": str(role.grant_id),
            "deadline": role.deadline.isoformat() if role.deadline else "",
            "left_behind": [item.as_dict() for item in owned_objects.items[:MAX_LISTED_OBJECTS]],
            "proof": proof.as_dict(),
        },
    )


def _row(integration: Integration, finding: Finding) -> Drift:
    return Drift(
        integration=integration,
        integration_name=integration.name,
        grant=finding.grant,
        login=finding.login,
        kind=finding.kind,
        sentence=finding.sentence[:500],
    )


def _record(event: EventName, integration: Integration, drifts: list[Drift]) -> None:
    prefetch_related_objects(drifts, "grant__request")
    about = [(d.grant, d.grant.request, _metadata(d)) for d in drifts if d.grant]
    record_many(event=event, actor=None, entries=about)
    for drift in drifts:
        if drift.grant is None:
            record(event=event, actor=None, target=integration, metadata=_metadata(drift))


def _metadata(drift: Drift) -> dict[str, str]:
    return {
        "login": drift.login,
        "integration": drift.integration_name,
        "kind": drift.kind,
        "reason": drift.sentence,
    }
