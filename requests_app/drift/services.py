"""What a comparison of portal and target found, put on the record."""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import prefetch_related_objects
from django.utils import timezone

from accessflows.connectors.protocol import ManagedRole, OwnedObject, Proof
from accessflows.models import Integration
from audit.events import EventName
from audit.services import record, record_many
from requests_app.drift.compare import Finding
from requests_app.models import Drift, GrantState


def note_drift(*, integration: Integration, findings: Collection[Finding]) -> list[Drift]:
    """Keep what is new, close what is over, and tell of both. Returns the news."""
    now = timezone.now()
    with transaction.atomic():
        Integration.objects.select_for_update().get(pk=integration.pk)
        known = {
            (drift.login, drift.kind): drift
            for drift in Drift.objects.open()
            .filter(integration=integration)
            .select_related("grant__request")
        }
        seen = {finding.key: finding for finding in findings}
        over = [drift for key, drift in known.items() if key not in seen]
        news = Drift.objects.bulk_create(
            _row(integration, finding) for key, finding in seen.items() if key not in known
        )
        Drift.objects.filter(pk__in=[drift.pk for drift in over]).update(over_at=now)
        _tell(EventName.GRANT_DRIFT, integration, news)
        mended = [each for each in over if each.grant and each.grant.state == GrantState.ACTIVE]
        _tell(EventName.GRANT_MEND, integration, mended)
    return news


def record_removal(
    *, integration: Integration, role: ManagedRole, owned_objects: OwnedObject, proof: Proof
) -> None:
    """A login nobody knows, past its own end, is gone; and what it had left behind."""
    record(
        event=EventName.GRANT_CUT_UNKNOWN,
        actor=None,
        target=integration,
        metadata={
            "login": role.name,
            "grant": str(role.grant_id),
            "deadline": role.deadline.isoformat() if role.deadline else "",
            "left_behind": [item.as_dict() for item in owned_objects.items[:100]],
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


def _tell(event: EventName, integration: Integration, drifts: list[Drift]) -> None:
    prefetch_related_objects(drifts, "grant__request")
    of_grants = [
        (drift.grant, drift.grant.request, _told(drift)) for drift in drifts if drift.grant
    ]
    record_many(event=event, actor=None, entries=of_grants)
    for drift in drifts:
        if drift.grant is None:
            record(event=event, actor=None, target=integration, metadata=_told(drift))


def _told(drift: Drift) -> dict[str, Any]:
    return {
        "login": drift.login,
        "integration": drift.integration_name,
        "kind": drift.kind,
        "reason": drift.sentence,
    }
