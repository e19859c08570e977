"""What is noted on grant rows between their events."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import GrantIdentity, OwnedObjects
from audit.events import EventName
from audit.services import record
from requests_app.models import AccessRequest, Grant, GrantState

LONGEST_LIST = 200  # of things left behind, in one event

# What the last update of a step writes when it gives the grant back.
FREE: dict[str, Any] = {"lease_by": "", "lease_until": None, "attempts": 0, "last_error": ""}


def mark_revoking(requests: Iterable[AccessRequest]) -> None:
    """Set the grants of requests, however far they came, on the way to their end.

    A lease stays where it is: whoever is activating one now finishes, sees this, and gives it back.
    """
    Grant.objects.filter(
        request__in=[request.pk for request in requests],
        state__in=[GrantState.ACTIVATING, GrantState.ACTIVE],
    ).update(state=GrantState.ENDING, next_attempt_at=timezone.now(), attempts=0)


def reopen_for_cleanup(grant: Grant, lease: str) -> None:
    """Made too late: the grant is ending, or was found to be nothing and closed already."""
    Grant.objects.filter(pk=grant.pk, state=GrantState.ENDED).update(
        state=GrantState.ENDING, contained_at=None, ended_at=None, next_attempt_at=timezone.now()
    )
    Grant.objects.filter(pk=grant.pk, lease_by=lease).update(**FREE)


def save_identity(grant: Grant, identity: GrantIdentity) -> None:
    """Store which role on which server is the grant's. Later steps know it by nothing else."""
    fields = {
        "login": identity.role_name,
        "login_oid": identity.role_oid,
        "system_identifier": identity.system_identifier,
    }
    Grant.objects.filter(pk=grant.pk).update(**fields)
    for name, value in fields.items():
        setattr(grant, name, value)


def save_owned_objects(grant: Grant, lease: str, owned_objects: OwnedObjects) -> None:
    """Keep what was found before it is cleaned. A later look, after half a cleaning, adds only."""
    seen = list(grant.owned_objects)
    news = [item for item in (each.as_dict() for each in owned_objects.items) if item not in seen]
    grant.owned_objects = seen + news
    if not news:
        return
    with transaction.atomic():
        mine = Grant.objects.filter(pk=grant.pk, lease_by=lease)
        if mine.update(owned_objects=grant.owned_objects):
            record(
                event=EventName.GRANT_FIND_OWNED_OBJECTS,
                actor=None,
                target=grant,
                request=grant.request,
                metadata={"login": grant.login, "left_behind": news[:LONGEST_LIST]},
            )
