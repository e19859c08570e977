"""The grantee's password: made here, shown once, kept nowhere. The server sees only a verifier."""

import secrets

import structlog
from psycopg import sql

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.postgresql.backend_sessions import end_sessions_of
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.roles import require_ours
from accessflows.connectors.protocol import Credential, GrantIdentity, GrantSpec, Target

log = structlog.get_logger(__name__)

_PASSWORD_BYTES = 24  # 192 bits
_SET_PASSWORD = sql.SQL("ALTER ROLE {role} LOGIN PASSWORD {verifier}")


def issue_credential(target: Target, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    """Let the grantee log in with a new random password until the deadline the target has.

    A role that was cut has its deadline in the past, so a late call cannot revive it.
    """
    with broker_session(target) as session:
        return _set_password(session, spec, identity)


def reset_credential(
    target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
) -> Credential:
    """A new password, the old one dead at once; open sessions too when asked."""
    with broker_session(target) as session:
        credential = _set_password(session, spec, identity)
        if terminate_sessions:
            end_sessions_of(session, [identity.role_oid])
    return credential


def _set_password(session: Session, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    session.check_server(identity.system_identifier)
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    with session.connection.transaction():
        name = _require_alive(session, spec, identity)
        verifier = session.connection.pgconn.encrypt_password(
            password.encode(), name.encode(), b"scram-sha-256"
        )
        statement = _SET_PASSWORD.format(
            role=sql.Identifier(name), verifier=sql.Literal(verifier.decode())
        )
        session.run([statement])
        _require_alive(session, spec, identity)
    log.info("credential_issued", role=name)
    target = session.target
    return Credential(target.host, target.port, spec.resource, name, password)


def _require_alive(session: Session, spec: GrantSpec, identity: GrantIdentity) -> str:
    """The role's name. Asked again once the role's row is ours: a cut may have come in between."""
    role = require_ours(session, identity)
    if role is None:
        raise TargetRefused("The grant's role is gone from the target. Make a new request.")
    now = session.row("SELECT clock_timestamp() AS now")["now"]
    if role.valid_until is None or role.valid_until <= now or spec.deadline <= now:
        raise TargetRefused("The grant has ended, so it gives no password. Make a new request.")
    return role.name
