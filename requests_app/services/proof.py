"""What the target said about an end, put on the record."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import Containment
from audit.events import EventName
from audit.services import record
from requests_app.grants import FREE
from requests_app.lifecycle import lock_request
from requests_app.models import Grant, GrantState
from requests_app.services.ending import close_when_ended


def record_containment(*, contained: Mapping[Grant, Containment], lease: str) -> None:
    """Note that nobody can use these grants any more. All in one transaction."""
    now = timezone.now()
    with transaction.atomic():
        for grant, containment in contained.items():
            held = Grant.objects.filter(pk=grant.pk, state=GrantState.ENDING, lease_by=lease)
            done = held.update(
                state=GrantState.CONTAINED, contained_at=now, next_try_at=now, **FREE
            )
            if done:
                record(
                    event=EventName.GRANT_CONTAIN,
                    actor=None,
                    target=grant,
                    request=grant.request,
                    metadata={"login": grant.login, **containment.as_dict()},
                )


def record_nothing_made(*, grant: Grant, lease: str) -> None:
    """Close a grant whose activation left nothing on the target."""
    now = timezone.now()
    Grant.objects.filter(pk=grant.pk, lease_by=lease, contained_at=None).update(contained_at=now)
    record_end(
        grant=grant,
        lease=lease,
        proof={
            "holds": True,
            "role_gone": True,
            "sessions_gone": True,
            "residue_none": True,
            "checked_at": now.isoformat(),
            "method": "Looked for the login of this grant on the target: none was ever made.",
            "details": {},
        },
    )


def record_end(*, grant: Grant, lease: str, proof: dict[str, Any]) -> None:
    """Store the proof. With the last grant of a request the request has ended."""
    with transaction.atomic():
        request = lock_request(grant.request_id)
        now = timezone.now()
        held = Grant.objects.filter(
            pk=grant.pk, state__in=[GrantState.ENDING, GrantState.CONTAINED], lease_by=lease
        )
        if not held.update(state=GrantState.ENDED, ended_at=now, proof=proof, **FREE):
            return
        record(
            event=EventName.GRANT_PROVE,
            actor=None,
            target=grant,
            request=request,
            metadata={"login": grant.login, "proof": proof, "left_behind": len(grant.residue)},
        )
        close_when_ended(request=request)
