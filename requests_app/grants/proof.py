"""Recording what a target confirmed: containment, and proof of removal."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import Containment
from audit.events import EventName
from audit.services import record_many
from requests_app.grants.leases import release
from requests_app.grants.records import RELEASED
from requests_app.grants.revocation import finish_revocations
from requests_app.lifecycle import lock_requests
from requests_app.models import Grant, GrantState


def record_containment(*, contained: Mapping[Grant, Containment]) -> list[Grant]:
    """Record that nobody can use these grants any more. Return those newly contained.

    What the target confirmed holds regardless of the lease, so the lease is not checked: the answer
    of a slow worker counts, and two workers that contain the same grant do no harm.
    """
    now = timezone.now()
    with transaction.atomic():
        revoking = Grant.objects.select_for_update(of=("self",)).filter(
            pk__in=[grant.pk for grant in contained], state=GrantState.REVOKING
        )
        pks = set(revoking.order_by("pk").values_list("pk", flat=True))
        Grant.objects.filter(pk__in=pks).update(
            state=GrantState.CONTAINED, contained_at=now, next_attempt_at=now, **RELEASED
        )
        newly_contained = [grant for grant in contained if grant.pk in pks]
        record_many(
            event=EventName.GRANT_CONTAIN,
            actor=None,
            entries=[
                (grant, grant.request, {"login": grant.login, **contained[grant].as_dict()})
                for grant in newly_contained
            ],
        )
    return newly_contained


def record_never_created(*, grant: Grant, lease: str) -> None:
    """Record the removal of a grant whose activation created nothing on the target."""
    now = timezone.now()
    unknown = Grant.objects.filter(pk=grant.pk, lease_by=lease, contained_at=None, login_mark="")
    unknown.update(contained_at=now)
    proof = {
        "holds": True,
        "role_removed": True,
        "no_open_sessions": True,
        "nothing_left_behind": True,
        "checked_at": now.isoformat(),
        "method": "Looked up the login of this grant on the target: it was never created.",
        "details": {},
    }
    record_removals(proven={grant: proof}, lease=lease)


def record_removals(*, proven: Mapping[Grant, Mapping[str, object]], lease: str) -> list[Grant]:
    """Store proofs of removal where the lease still holds, and finish requests of which none is left.

    The others are released if they are still held: there is another login to remove. Return the grants newly removed.
    """
    with transaction.atomic():
        requests = lock_requests({grant.request_id for grant in proven})
        removed = [grant for grant in proven if _mark_removed(grant, lease, proven[grant])]
        release((grant for grant in proven if grant not in removed), lease)
        about = [
            (
                grant,
                requests[grant.request_id],
                {
                    "login": grant.login,
                    "proof": proven[grant],
                    "left_behind": len(grant.owned_objects),
                },
            )
            for grant in removed
        ]
        record_many(event=EventName.GRANT_PROVE, actor=None, entries=about)
        finish_revocations(
            requests=[requests[pk] for pk in sorted({grant.request_id for grant in removed})]
        )
    return removed


def _mark_removed(grant: Grant, lease: str, proof: Mapping[str, object]) -> bool:
    """Mark a grant as removed, unless a suspended worker has recorded another login meanwhile."""
    leased = Grant.objects.filter(
        pk=grant.pk,
        state__in=[GrantState.REVOKING, GrantState.CONTAINED],
        lease_by=lease,
        login_mark=grant.login_mark,
    )
    now = timezone.now()
    return bool(leased.update(state=GrantState.REMOVED, removed_at=now, proof=proof, **RELEASED))
