"""What grantees gave to others through their permission: found, stored, undone, and part of the proof."""

from collections.abc import Collection

from accessflows.connectors.protocol import Connector, GrantIdentity, PermissionState, Target
from requests_app.grants.records import save_permission_changes
from requests_app.models import Grant

NOT_UNDONE = (
    "Rights that users of this permission gave to others remain. The portal will undo them again."
)


def undo_permission_changes(
    grant: Grant, lease: str, connector: Connector, target: Target, identity: GrantIdentity
) -> None:
    """Store, then undo what the permission's role gave to others since the grant was activated.

    Before the login is cleaned: the role may have granted rights to the login itself.
    """
    if grant.permission_state is None:
        return
    server = identity.system_identifier
    state = connector.read_permission(target, grant.permission, system_identifier=server)
    if changes := state.changes_since(grant.permission_state):
        save_permission_changes(grant, lease, changes)
        connector.undo_permission_changes(
            target, grant.permission, changes, system_identifier=server
        )


def read_permissions(
    grants: Collection[Grant], connector: Connector, target: Target
) -> dict[str, PermissionState]:
    """Return the state of each permission of grants on one target, read once each."""
    names = {grant.permission for grant in grants if grant.permission_state is not None}
    return {name: connector.read_permission(target, name) for name in sorted(names)}


def has_changed(grant: Grant, states: dict[str, PermissionState]) -> bool:
    """Whether anything is left of what was given to others since the grant was activated."""
    before = grant.permission_state
    return before is not None and bool(states[grant.permission].changes_since(before))
