"""Updates of grant rows between the steps of a worker."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.protocol import GrantIdentity, OwnedObjects, PermissionEntry
from audit.events import EventName
from audit.services import record
from requests_app.grants.leases import lease_end
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
        "login": identity.name,
        "login_mark": identity.mark,
        "system_identifier": identity.server_id,
    }
    Grant.objects.filter(pk=grant.pk).update(**fields)
    for name, value in fields.items():
        setattr(grant, name, value)


def save_permission_changes(grant: Grant, lease: str, changes: Iterable[PermissionEntry]) -> bool:
    """Store what the permission's role gave to others meanwhile, before it is undone."""
    items = [{"database": one.database, "kind": one.kind, "text": one.text} for one in changes]
    return _save_added(
        grant,
        lease,
        field="permission_changes",
        items=items,
        event=EventName.GRANT_FIND_PERMISSION_CHANGES,
        listed_as="given_to_others",
        permission=grant.permission,
    )


def save_owned_objects(grant: Grant, lease: str, owned_objects: OwnedObjects) -> bool:
    """Store what the login owns, before it is cleaned up."""
    return _save_added(
        grant,
        lease,
        field="owned_objects",
        items=[item.as_dict() for item in owned_objects.items],
        event=EventName.GRANT_FIND_OWNED_OBJECTS,
        listed_as="left_behind",
    )


def _save_added(
    grant: Grant,
    lease: str,
    *,
    field: str,
    items: Iterable[Mapping[str, object]],
    event: EventName,
    listed_as: str,
    **metadata: object,
) -> bool:
    """Add items to a list of the grant, record the new ones, and renew the lease.

    False, with nothing stored, if another worker holds the grant by now.
    """
    stored = list(getattr(grant, field))
    added = [item for item in items if item not in stored]
    with transaction.atomic():
        leased = Grant.objects.filter(pk=grant.pk, lease_by=lease)
        if not leased.update(lease_until=lease_end(), **{field: stored + added}):
            return False
        setattr(grant, field, stored + added)
        if added:
            listed = {listed_as: added[:MAX_LISTED_OBJECTS]}
            metadata = {"login": grant.login, **metadata, **listed}
            record(event=event, actor=None, target=grant, request=grant.request, metadata=metadata)
    return True
