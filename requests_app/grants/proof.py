"""What the target said about an end, put on the record."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import Containment
from audit.events import EventName
from audit.services import record_many
from requests_app.grants.ending import close_when_ended
from requests_app.grants.records import FREE
from requests_app.lifecycle import lock_requests
from requests_app.models import Grant, GrantState


def record_containment(*, contained: Mapping[Grant, Containment]) -> list[Grant]:
    """Note that nobody can use these grants any more, in one transaction. Returns the news of it.

    What the target said is so whoever holds the lease by now, so no lease is asked for: a slow
    worker's answer counts, and two that contain the same grant never undo each other's work.
    """
    now = timezone.now()
    with transaction.atomic():
        ending = Grant.objects.select_for_update(of=("self",)).filter(
            pk__in=[grant.pk for grant in contained], state=GrantState.ENDING
        )
        pks = set(ending.order_by("pk").values_list("pk", flat=True))
        Grant.objects.filter(pk__in=pks).update(
            state=GrantState.CONTAINED, contained_at=now, next_attempt_at=now, **FREE
        )
        news = [grant for grant in contained if grant.pk in pks]
        record_many(
            event=EventName.GRANT_CONTAIN,
            actor=None,
            entries=[
                (grant, grant.request, {"login": grant.login, **contained[grant].as_dict()})
                for grant in news
            ],
        )
    return news


def record_nothing_made(*, grant: Grant, lease: str) -> None:
    """Close a grant whose activation left nothing on the target."""
    now = timezone.now()
    Grant.objects.filter(pk=grant.pk, lease_by=lease, contained_at=None).update(contained_at=now)
    proof = {
        "holds": True,
        "role_gone": True,
        "sessions_gone": True,
        "residue_none": True,
        "checked_at": now.isoformat(),
        "method": "Looked for the login of this grant on the target: none was ever made.",
        "details": {},
    }
    record_ends(proven={grant: proof}, lease=lease)


def record_ends(*, proven: Mapping[Grant, Mapping[str, object]], lease: str) -> list[Grant]:
    """Store the proofs where the lease still holds. With its last grant a request has ended.

    Returns the news of it.
    """
    with transaction.atomic():
        requests = lock_requests({grant.request_id for grant in proven})
        news = [grant for grant in proven if _end(grant, lease, proven[grant])]
        told = {
            grant: {
                "login": grant.login,
                "proof": proven[grant],
                "left_behind": len(grant.owned_objects),
            }
            for grant in news
        }
        about = [(grant, requests[grant.request_id], told[grant]) for grant in news]
        record_many(event=EventName.GRANT_PROVE, actor=None, entries=about)
        close_when_ended(
            requests=[requests[pk] for pk in sorted({each.request_id for each in news})]
        )
    return news


def _end(grant: Grant, lease: str, proof: Mapping[str, object]) -> bool:
    held = Grant.objects.filter(
        pk=grant.pk, state__in=[GrantState.ENDING, GrantState.CONTAINED], lease_by=lease
    )
    now = timezone.now()
    return bool(held.update(state=GrantState.ENDED, ended_at=now, proof=proof, **FREE))
