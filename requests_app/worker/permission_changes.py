"""What grantees gave to others through their permission: found, stored, undone, and part of the proof."""

from collections.abc import Collection

from accessflows.connectors.protocol import Connector, GrantIdentity, PermissionState, Target
from requests_app.grants.records import save_permission_changes
from requests_app.models import Grant

NOT_UNDONE = "Rights that users of this permission gave to others remain. The portal will try again to undo them."


States = dict[str, PermissionState]  # by permission


def undo_permission_changes(
    grant: Grant,
    lease: str,
    connector: Connector,
    target: Target,
    identity: GrantIdentity,
    states: States,
) -> bool:
    """Store, then undo what the permission's role gave to others since the grant was activated.

    Before the login is cleaned: the role may have granted rights to the login itself. ``states`` are those
    already read for others that are cleaned now; the proof reads them again. False, with nothing undone,
    if another worker holds the grant by now.
    """
    name, before, server = grant.permission, _state_before(grant), identity.server_id
    if before is None:
        return True
    if name not in states:
        states[name] = connector.read_permission(target, name, server_id=server)
    if changes := states[name].changes_since(before):
        if not save_permission_changes(grant, lease, changes):
            return False
        connector.undo_permission_changes(target, name, changes, server_id=server)
        del states[name]
    return True


def read_permissions(grants: Collection[Grant], connector: Connector, target: Target) -> States:
    """Return the state of each permission of grants on one target, read once each."""
    names = {grant.permission for grant in grants if _state_before(grant) is not None}
    return {name: connector.read_permission(target, name) for name in sorted(names)}


def has_changed(grant: Grant, states: States) -> bool:
    """Whether anything is left of what was given to others since the grant was activated."""
    before = _state_before(grant)
    return before is not None and bool(states[grant.permission].changes_since(before))


def _state_before(grant: Grant) -> list[str] | None:
    """Return the keys to compare with, None if they are unknown or were compared already.

    A login that a suspended worker made after the proof was never usable. What was given since then is not
    its doing.
    """
    return None if grant.proof.get("permission_as_before") else grant.permission_state
