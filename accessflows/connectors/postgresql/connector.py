"""The connector of kind "postgresql": each call from the module of its subject."""

from accessflows.connectors.postgresql import (
    activation,
    canary,
    cleaning,
    connection,
    connection_lines,
    containment,
    credentials,
    discovery,
    extension,
    owned_objects,
    permission_state,
    preflight,
    proof,
    rights_text,
    role_listing,
    timed_termination,
)


class PostgreSQLConnector:
    """Implements `accessflows.connectors.protocol.Connector`."""

    preflight = staticmethod(preflight.preflight)
    discover = staticmethod(discovery.discover)
    describe_rights = staticmethod(rights_text.describe_rights)
    check_permission = staticmethod(permission_state.check_permission)
    activate = staticmethod(activation.activate)
    locate = staticmethod(activation.locate)
    issue_credential = staticmethod(credentials.issue_credential)
    connection_lines = staticmethod(connection_lines.connection_lines)
    reset_credential = staticmethod(credentials.reset_credential)
    extend = staticmethod(extension.extend)
    keep_connections = staticmethod(connection.keep_connections)
    contain = staticmethod(containment.contain)
    contain_many = staticmethod(containment.contain_many)
    terminate_sessions_at = staticmethod(timed_termination.terminate_sessions_at)
    find_owned_objects = staticmethod(owned_objects.find_owned_objects)
    read_permission = staticmethod(permission_state.read_permission)
    undo_permission_changes = staticmethod(permission_state.undo_permission_changes)
    clean = staticmethod(cleaning.clean)
    prove = staticmethod(proof.prove)
    prove_many = staticmethod(proof.prove_many)
    list_managed_accounts = staticmethod(role_listing.list_managed_accounts)
    canary = canary.canary
