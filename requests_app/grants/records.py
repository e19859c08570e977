"""Updates of grant rows between the steps of a worker."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import GrantIdentity, OwnedObjects, PermissionEntry
from audit.events import EventName
from audit.services import record
from requests_app.models import AccessRequest, Grant, GrantState

MAX_LISTED_OBJECTS = 200  # in one event

# Written by the last update of a step, which releases the lease.
RELEASED: dict[str, Any] = {"lease_by": "", "lease_until": None, "attempts": 0, "last_error": ""}


def mark_revoking(requests: Iterable[AccessRequest]) -> None:
    """Mark all grants of requests for removal.

    Leases stay: a worker that is activating a grant finishes, sees the new state, and releases it.
    """
    Grant.objects.filter(
        request__in=[request.pk for request in requests],
        state__in=[GrantState.ACTIVATING, GrantState.ACTIVE],
    ).update(state=GrantState.REVOKING, next_attempt_at=timezone.now(), attempts=0)


def reopen_for_cleanup(grant: Grant, lease: str) -> None:
    """Schedule removal of a login created after its grant was marked for removal, or closed."""
    Grant.objects.filter(pk=grant.pk, state=GrantState.REMOVED).update(
        state=GrantState.REVOKING,
        contained_at=None,
        removed_at=None,
        next_attempt_at=timezone.now(),
    )
    Grant.objects.filter(pk=grant.pk, lease_by=lease).update(**RELEASED)


def save_identity(grant: Grant, identity: GrantIdentity) -> None:
    """Store which role on which server belongs to the grant; later steps identify it by that."""
    fields = {
        "login": identity.role_name,
        "login_oid": identity.role_oid,
        "system_identifier": identity.system_identifier,
    }
    Grant.objects.filter(pk=grant.pk).update(**fields)
    for name, value in fields.items():
        setattr(grant, name, value)


def save_permission_changes(grant: Grant, lease: str, changes: Iterable[PermissionEntry]) -> None:
    """Store what the permission's role gave to others meanwhile, before it is undone."""
    stored = list(grant.permission_changes)
    listed = [{"database": one.database, "kind": one.kind, "text": one.text} for one in changes]
    added = [item for item in listed if item not in stored]
    grant.permission_changes = stored + added
    if not added:
        return
    with transaction.atomic():
        leased = Grant.objects.filter(pk=grant.pk, lease_by=lease)
        if leased.update(permission_changes=grant.permission_changes):
            record(
                event=EventName.GRANT_FIND_PERMISSION_CHANGES,
                actor=None,
                target=grant,
                request=grant.request,
                metadata={
                    "login": grant.login,
                    "permission": grant.permission,
                    "given_to_others": added[:MAX_LISTED_OBJECTS],
                },
            )


def save_owned_objects(grant: Grant, lease: str, owned_objects: OwnedObjects) -> None:
    """Store what the login owns, before it is cleaned up; a repeated listing only adds."""
    stored = list(grant.owned_objects)
    listed = [item.as_dict() for item in owned_objects.items]
    added = [item for item in listed if item not in stored]
    grant.owned_objects = stored + added
    if not added:
        return
    with transaction.atomic():
        leased = Grant.objects.filter(pk=grant.pk, lease_by=lease)
        if leased.update(owned_objects=grant.owned_objects):
            record(
                event=EventName.GRANT_FIND_OWNED_OBJECTS,
                actor=None,
                target=grant,
                request=grant.request,
                metadata={"login": grant.login, "left_behind": added[:MAX_LISTED_OBJECTS]},
            )
