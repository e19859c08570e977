"""The grantee's password: generated here, shown once, stored nowhere. The server sees only a verifier."""

import secrets

import structlog
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql import backend_sessions
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.roles import find_role, oid_of
from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec, Target

log = structlog.get_logger(__name__)

_PASSWORD_BYTES = 24  # 192 bits
_SET_PASSWORD = sql.SQL("ALTER ROLE {role} LOGIN PASSWORD {verifier}")


def issue_credential(target: Target, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    """Let the grantee sign in with a new random password until the deadline the target enforces.

    A disabled role has its deadline in the past, so a late call cannot revive it.
    """
    with connect_as_broker(target) as connection:
        return _set_password(connection, spec, identity)


def reset_credential(
    target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
) -> Credential:
    """Set a new password, which invalidates the old one; optionally terminate open sessions."""
    with connect_as_broker(target) as connection:
        credential = _set_password(connection, spec, identity)
        if terminate_sessions:
            backend_sessions.terminate_sessions(connection, [oid_of(identity)])
    return credential


def _set_password(
    connection: BrokerConnection, spec: GrantSpec, identity: GrantIdentity
) -> Credential:
    connection.check_server(identity.server_id)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with connection.transaction():
        name = _require_active(connection, spec, identity)
        verifier = connection.raw.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        statement = _SET_PASSWORD.format(
            role=sql.Identifier(name), verifier=sql.Literal(verifier.decode())
        )
        connection.run([statement])
        _require_active(connection, spec, identity)
    log.info("credential_issued", role=name)
    target = connection.target
    return Credential(target.host, target.port, spec.resource, name, password)


def _require_active(connection: BrokerConnection, spec: GrantSpec, identity: GrantIdentity) -> str:
    """Return the role's name. Called again once its row is locked: it may have been contained since."""
    role = find_role(connection, identity)
    if role is None:
        raise TargetRefused("The grant's role no longer exists on the target. Make a new request.")
    now = connection.row("SELECT clock_timestamp() AS now")["now"]
    if role.valid_until is None or role.valid_until <= now or spec.deadline <= now:
        raise TargetRefused("The grant has expired or was revoked. Make a new request.")
    return role.name
