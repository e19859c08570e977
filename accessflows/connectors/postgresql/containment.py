"""Containing grants: stop new sign-ins, revoke memberships, terminate sessions. Then nobody can use them.

Every step commits by itself, so that a later failure never undoes an earlier step. Before sign-ins are
stopped, sessions are terminated once: at the deadline none can come back, so that is the quickest way, and
a session that holds a lock on its own role releases it, as does a prepared transaction that is rolled back.
What counts is the termination afterwards. Where a role stays locked all the same, its memberships are revoked
and its sessions terminated; the grant is not contained and is tried again.
"""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence

import psycopg
import structlog
from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.backend_sessions import signal_sessions, terminate_sessions
from accessflows.connectors.postgresql.connection import BrokerConnection, connect_as_broker
from accessflows.connectors.postgresql.errors import WILL_RETRY, address, query_failure
from accessflows.connectors.postgresql.prepared_transactions import (
    prepared_transactions_of,
    roll_back_prepared,
)
from accessflows.connectors.postgresql.roles import (
    EPOCH,
    Lookup,
    MismatchedRole,
    OtherRole,
    Role,
    find_roles,
    oid_of,
)
from accessflows.connectors.protocol import Containment, GrantIdentity, Target, grant_id_of

log = structlog.get_logger(__name__)

_BATCH_SIZE = 250
_DISABLE_BATCH_SIZE = 50
_MAX_ATTEMPTS = 5
_BUDGET_S = 60.0
_RETRY_BUDGET_S = 1.0  # for all that stay locked: what expires meanwhile waits for them

# In a batch, one locked role must not delay the others; it is retried by itself.
_SHORT_LOCK_TIMEOUT = sql.SQL("SET LOCAL lock_timeout = '50ms'")
_LONGER_LOCK_TIMEOUT = sql.SQL("SET LOCAL lock_timeout = '250ms'")
_DISABLE = sql.SQL("ALTER ROLE {role} NOLOGIN PASSWORD NULL VALID UNTIL {epoch}")
_MEMBERSHIPS = sql.SQL(
    "SELECT DISTINCT m.member::bigint AS oid, member.rolname AS role, granted.rolname AS permission"
    " FROM pg_auth_members m JOIN pg_roles granted ON granted.oid = m.roleid"
    " JOIN pg_roles member ON member.oid = m.member WHERE m.member = ANY(%(oids)s::oid[])"
)
_REVOKE = sql.SQL("REVOKE {permission} FROM {roles}")

Lookups = dict[GrantIdentity, Lookup]
Prepared = dict[int, set[str]]  # identifiers of prepared transactions, by the OID of their owner
Outcome = Containment | ConnectorError


def contain(target: Target, identity: GrantIdentity) -> Containment:
    """Contain one grant. Raises if it cannot be confirmed that nobody can use it."""
    outcome = contain_many(target, [identity])[identity]
    if isinstance(outcome, ConnectorError):
        raise outcome
    return outcome


def contain_many(
    target: Target, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Outcome]:
    """Contain many grants over one connection. Only a failure of the connection itself is raised."""
    outcomes: dict[GrantIdentity, Outcome] = {}
    unique = list(dict.fromkeys(identities))
    with connect_as_broker(target, budget_s=_BUDGET_S, urgent=True) as connection:
        for start in range(0, len(unique), _BATCH_SIZE):
            outcomes |= _contain_batch(connection, unique[start : start + _BATCH_SIZE])
    return outcomes


def _contain_batch(
    connection: BrokerConnection, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Outcome]:
    refused = {
        identity: error for identity in identities if (error := _refusal(connection, identity))
    }
    accepted = [identity for identity in identities if identity not in refused]
    signalled = _terminate_early(connection, accepted)
    prepared: dict[int, set[str]] = defaultdict(set)
    lookups, locked = _stop_sign_ins(connection, accepted, prepared)
    ours = [
        role.oid
        for lookup in find_roles(connection, accepted).values()
        if (role := _role_to_disable(lookup))
    ]
    _revoke_memberships(connection, ours)
    unlocked, failed = _retry_locked(connection, locked, prepared)
    lookups |= unlocked
    sessions = terminate_sessions(
        connection,
        [oid_of(one) for one, lookup in lookups.items() if _owns_sessions(lookup)],
        signalled,
    )
    _terminate_early(connection, list(failed))
    for transaction in prepared_transactions_of(connection, list(sessions)):
        prepared[transaction.owner_oid].add(transaction.gid)
    remaining: dict[int, list[str]] = defaultdict(list)
    for row in _memberships(connection, ours):
        remaining[row["oid"]].append(row["permission"])
    log.info("grants_contained", count=len(lookups), failed=len(refused) + len(failed))
    contained = {
        identity: _outcome(
            identity,
            lookup,
            sessions=sessions.get(oid_of(identity), (0, 0)),
            prepared=sorted(prepared[oid_of(identity)]),
            remaining=remaining[oid_of(identity)],
        )
        for identity, lookup in lookups.items()
    }
    return {**refused, **failed, **contained}


def _outcome(
    identity: GrantIdentity,
    lookup: Lookup,
    *,
    sessions: tuple[int, int],
    prepared: Iterable[str],
    remaining: Iterable[str],
) -> Outcome:
    terminated, still_open = sessions
    if still_open:
        return TargetUnavailable(
            f"{still_open} session(s) of {identity.name} were signalled and are still open. "
            f"{WILL_RETRY}"
        )
    if isinstance(lookup, MismatchedRole) and lookup.unmarked is None:
        return lookup.mismatch
    was_present = lookup is not None and not isinstance(lookup, OtherRole)
    return Containment(
        sessions_terminated=terminated if was_present else 0,
        orphan_sessions_terminated=0 if was_present else terminated,
        prepared_transactions=tuple(prepared),
        remaining_memberships=tuple(remaining),
        was_absent=not was_present,
    )


def _role_to_disable(lookup: Lookup) -> Role | None:
    """Return the role if it is ours, also if only its comment is lost."""
    if isinstance(lookup, MismatchedRole):
        return lookup.unmarked
    return None if isinstance(lookup, OtherRole) else lookup


def _owns_sessions(lookup: Lookup) -> bool:
    """Sessions are matched by OID, which a role that merely has the same name does not share."""
    if isinstance(lookup, OtherRole):
        return False
    return (
        not isinstance(lookup, MismatchedRole) or not lookup.has_oid or lookup.unmarked is not None
    )


def _refusal(connection: BrokerConnection, identity: GrantIdentity) -> ConnectorError | None:
    try:
        connection.check_server(identity.server_id)
    except TargetMismatch as mismatch:
        return mismatch
    if grant_id_of(identity.name) is None:
        return TargetRefused(f"{identity.name} is not the name of a grant's role.")
    return None


def _stop_sign_ins(
    connection: BrokerConnection, identities: Sequence[GrantIdentity], prepared: Prepared
) -> tuple[Lookups, list[GrantIdentity]]:
    """Disable many roles in one transaction each. Returns also those of transactions that failed.

    A grantee may change its own password, and while that transaction is open or prepared nobody else can
    change the role. So its sessions are terminated right before: ALTER ROLE then waits for the lock they
    release, ahead of any session that comes after them.
    """
    lookups: Lookups = {}
    locked: list[GrantIdentity] = []
    for start in range(0, len(identities), _DISABLE_BATCH_SIZE):
        batch = identities[start : start + _DISABLE_BATCH_SIZE]
        try:
            _roll_back(connection, batch, prepared)
            lookups |= _disable(connection, batch, _SHORT_LOCK_TIMEOUT)
        except psycopg.Error:
            if connection.broken:
                raise
            locked += batch
    return lookups, locked


def _retry_locked(
    connection: BrokerConnection, identities: Sequence[GrantIdentity], prepared: Prepared
) -> tuple[Lookups, dict[GrantIdentity, ConnectorError]]:
    """Disable each role by itself, in rounds: those that stay locked delay the others by one short wait."""
    lookups: Lookups = {}
    failed: dict[GrantIdentity, ConnectorError] = {}
    remaining, give_up_at = list(identities), time.monotonic() + _RETRY_BUDGET_S
    for lock_timeout in [_SHORT_LOCK_TIMEOUT, *[_LONGER_LOCK_TIMEOUT] * (_MAX_ATTEMPTS - 1)]:
        failed = {}
        for identity in remaining:
            outcome = _disable_one(connection, identity, prepared, lock_timeout)
            if isinstance(outcome, ConnectorError):
                failed[identity] = outcome
            else:
                lookups |= outcome
        remaining = list(failed)
        if not remaining or time.monotonic() > give_up_at:
            break
        _terminate_early(connection, list(lookups))
    return lookups, failed


def _disable_one(
    connection: BrokerConnection,
    identity: GrantIdentity,
    prepared: Prepared,
    lock_timeout: sql.SQL,
) -> Lookups | ConnectorError:
    try:
        _terminate_early(connection, [identity])
        _roll_back(connection, [identity], prepared)
        return _disable(connection, [identity], lock_timeout)
    except psycopg.Error as error:
        if connection.broken:
            raise
        return query_failure(error, connection.target)


def _roll_back(
    connection: BrokerConnection, identities: Sequence[GrantIdentity], prepared: Prepared
) -> None:
    """Roll back what these grantees prepared, except of roles that were given attributes by hand."""
    names = {
        role.oid: role.name
        for lookup in find_roles(connection, identities).values()
        if (role := _role_to_disable(lookup)) and not role.has_attributes
    }
    for transaction in roll_back_prepared(connection, names):
        prepared[transaction.owner_oid].add(transaction.gid)


def _terminate_early(
    connection: BrokerConnection, identities: Sequence[GrantIdentity]
) -> list[tuple[int, int]]:
    """Signal sessions, except those of roles that are not ours or were given attributes by hand: the
    broker has no rights on these."""
    oids = [
        oid_of(identity)
        for identity, lookup in find_roles(connection, identities).items()
        if _owns_sessions(lookup)
        and not ((role := _role_to_disable(lookup)) and role.has_attributes)
    ]
    return signal_sessions(connection, oids) if oids else []


def _disable(
    connection: BrokerConnection, identities: Sequence[GrantIdentity], lock_timeout: sql.SQL
) -> Lookups:
    """Take no advisory lock here: a grantee could hold it. Two workers that disable the same role may
    delay each other; the second finds it disabled."""
    with connection.transaction():
        connection.execute(lock_timeout)
        lookups = find_roles(connection, identities)
        roles = [role for lookup in lookups.values() if (role := _role_to_disable(lookup))]
        connection.run(
            [
                _DISABLE.format(
                    role=sql.Identifier(role.name), epoch=sql.Literal(EPOCH.isoformat())
                )
                for role in sorted(roles, key=lambda role: role.oid)
                if not role.is_disabled
            ]
        )
    return lookups


def _memberships(connection: BrokerConnection, role_oids: Sequence[int]) -> list[DictRow]:
    return connection.rows(_MEMBERSHIPS, {"oids": list(role_oids)}) if role_oids else []


def _revoke_memberships(connection: BrokerConnection, role_oids: Sequence[int]) -> None:
    """Revoke the permissions. A refusal here is not fatal: the roles are disabled already, and what
    remains is read from the catalog afterwards, never from the command's own result.

    One statement revokes a permission from many roles: after each, the server recomputes everything the
    broker may administer, which with thousands of active grants takes longer than all the rest.
    """
    memberships = _memberships(connection, role_oids)
    holders: dict[str, list[str]] = defaultdict(list)
    for row in memberships:
        holders[row["permission"]].append(row["role"])
    try:
        connection.run([_revoke(permission, roles) for permission, roles in holders.items()])
    except psycopg.Error:
        if connection.broken:
            raise
        for row in memberships:
            _revoke_or_log(connection, _revoke(row["permission"], [row["role"]]))


def _revoke_or_log(connection: BrokerConnection, revoke: sql.Composed) -> None:
    try:
        connection.run([revoke])
    except psycopg.Error as error:
        if connection.broken:
            raise
        log.warning(
            "membership_not_revoked",
            target=address(connection.target),
            reason=query_failure(error, connection.target).sentence,
        )


def _revoke(permission: str, roles: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    return _REVOKE.format(permission=sql.Identifier(permission), roles=names)
