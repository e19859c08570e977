"""Ending all use: cut, revoke, kill. After this nobody can use the grant, whatever follows.

Every step commits by itself, so that a failure later never undoes an earlier one. Before the cut
sessions are told to end once: at the end of a time none can come back, so that is the quickest way,
and one that holds a lock on its own role lets go of it. What counts is the killing after the cut.
"""

from collections import defaultdict
from collections.abc import Sequence

import psycopg
import structlog
from psycopg import sql

from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.postgresql.backend_sessions import end_sessions_of, signal_sessions_of
from accessflows.connectors.postgresql.connection import Session, broker_session
from accessflows.connectors.postgresql.errors import address, query_failure
from accessflows.connectors.postgresql.prepared_transactions import prepared_by
from accessflows.connectors.postgresql.roles import (
    LONG_AGO,
    Found,
    Role,
    Stranger,
    find_ours,
)
from accessflows.connectors.protocol import Containment, GrantIdentity, Target, grant_id_of

log = structlog.get_logger(__name__)

_AT_ONCE = 250
_CUT_AT_ONCE = 50
_ATTEMPTS = 5
_LONGEST_S = 60.0

# Who is contained with many others must not keep them waiting; what is locked is tried again soon.
_LITTLE_PATIENCE = sql.SQL("SET LOCAL lock_timeout = '50ms'")
_SOME_PATIENCE = sql.SQL("SET LOCAL lock_timeout = '250ms'")
_CUT = sql.SQL("ALTER ROLE {role} NOLOGIN PASSWORD NULL VALID UNTIL {long_ago}")
_MEMBERSHIPS = sql.SQL(
    "SELECT DISTINCT m.member::bigint AS oid, member.rolname AS role, granted.rolname AS permission"
    " FROM pg_auth_members m JOIN pg_roles granted ON granted.oid = m.roleid"
    " JOIN pg_roles member ON member.oid = m.member WHERE m.member = ANY(%(oids)s::oid[])"
)
_REVOKE = sql.SQL("REVOKE {permission} FROM {roles}")

FoundByGrant = dict[GrantIdentity, Found]
Outcome = Containment | ConnectorError


def contain(target: Target, identity: GrantIdentity) -> Containment:
    """Cut, revoke and kill one grant. Raises if it cannot be said that nobody can use it."""
    outcome = contain_many(target, [identity])[identity]
    if isinstance(outcome, ConnectorError):
        raise outcome
    return outcome


def contain_many(
    target: Target, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Outcome]:
    """Contain many over one connection. Only a failure of the connection itself is raised."""
    outcomes: dict[GrantIdentity, Outcome] = {}
    wanted = list(dict.fromkeys(identities))
    with broker_session(target, budget_s=_LONGEST_S) as session:
        for start in range(0, len(wanted), _AT_ONCE):
            outcomes |= _contain_some(session, wanted[start : start + _AT_ONCE])
    return outcomes


def _contain_some(
    session: Session, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Outcome]:
    refused = {identity: why for identity in identities if (why := _refusal(session, identity))}
    wanted = [each for each in identities if each not in refused]
    early = _tell_early(session, wanted)
    found, failed = _cut_even_if_resisted(session, wanted)
    cut = [role.oid for each in found.values() if (role := _cuttable(each))]
    _revoke_memberships(session, cut)
    ended = end_sessions_of(
        session,
        [identity.role_oid for identity, each in found.items() if _sessions_are_ours(each)],
        early,
    )
    prepared = prepared_by(session, list(ended))
    left = _memberships(session, cut)
    outcomes: dict[GrantIdentity, Outcome] = {**refused, **failed}
    for identity, each in found.items():
        told, still_open = ended.get(identity.role_oid, (0, 0))
        if still_open:
            outcomes[identity] = TargetUnavailable(
                f"{still_open} session(s) of {identity.role_name} were told to end and are still "
                "there. The portal attempts again."
            )
        elif isinstance(each, Stranger) and each.unmarked is None:
            outcomes[identity] = each.mismatch
        else:
            outcomes[identity] = Containment(
                sessions_terminated=told if each else 0,
                orphan_sessions_terminated=0 if each else told,
                prepared_transactions=tuple(
                    one.gid for one in prepared if one.owner_oid == identity.role_oid
                ),
                remaining_memberships=tuple(
                    row["permission"] for row in left if row["oid"] == identity.role_oid
                ),
                was_absent=each is None,
            )
    log.info("grants_contained", count=len(found), failed=len(refused) + len(failed))
    return outcomes


def _cuttable(found: Found) -> Role | None:
    """The role to cut: ours, or ours with only its comment lost."""
    return found.unmarked if isinstance(found, Stranger) else found


def _sessions_are_ours(found: Found) -> bool:
    """Sessions are matched by OID. A stranger that merely took the name has another one."""
    return not isinstance(found, Stranger) or not found.has_oid or found.unmarked is not None


def _refusal(session: Session, identity: GrantIdentity) -> ConnectorError | None:
    try:
        session.check_server(identity.system_identifier)
    except TargetMismatch as mismatch:
        return mismatch
    if grant_id_of(identity.role_name) is None:
        return TargetRefused(f"{identity.role_name} is not the name of a grant's role.")
    return None


def _cut_even_if_resisted(
    session: Session, identities: Sequence[GrantIdentity]
) -> tuple[FoundByGrant, dict[GrantIdentity, ConnectorError]]:
    """Many in one transaction; where that fails each by itself, after all the others.

    A grantee may change its own password, and while that transaction is open nobody else can change
    the role. So its sessions are told to end right before: the cut then waits in line for the lock
    that they leave, ahead of any session that comes after them.
    """
    found: FoundByGrant = {}
    resisted: list[GrantIdentity] = []
    for start in range(0, len(identities), _CUT_AT_ONCE):
        some = identities[start : start + _CUT_AT_ONCE]
        try:
            found |= _cut(session, some, _LITTLE_PATIENCE)
        except psycopg.Error:
            if session.connection.broken:
                raise
            resisted += some
    failed: dict[GrantIdentity, ConnectorError] = {}
    for identity in resisted:
        outcome = _cut_one(session, identity)
        if isinstance(outcome, ConnectorError):
            failed[identity] = outcome
        else:
            found |= outcome
    return found, failed


def _cut_one(session: Session, identity: GrantIdentity) -> FoundByGrant | ConnectorError:
    failure: ConnectorError = TargetUnavailable(f"{identity.role_name} could not be cut.")
    for _ in range(_ATTEMPTS):
        try:
            _tell_early(session, [identity])
            return _cut(session, [identity], _SOME_PATIENCE)
        except psycopg.Error as error:
            if session.connection.broken:
                raise
            failure = query_failure(error, session.target)
    return failure


def _tell_early(session: Session, identities: Sequence[GrantIdentity]) -> list[tuple[int, int]]:
    """A role that is not ours or was given powers by hand is beyond the broker."""
    oids = [
        identity.role_oid
        for identity, found in find_ours(session, identities).items()
        if _sessions_are_ours(found) and not ((role := _cuttable(found)) and role.has_attributes)
    ]
    return signal_sessions_of(session, oids) if oids else []


def _cut(session: Session, identities: Sequence[GrantIdentity], patience: sql.SQL) -> FoundByGrant:
    """No advisory lock here: a grantee could take it. Two that cut the same role at once may get
    in each other's way; whoever comes second finds it cut."""
    with session.connection.transaction():
        session.connection.execute(patience)
        found = find_ours(session, identities)
        roles = [role for each in found.values() if (role := _cuttable(each)) and not role.is_cut]
        session.run(
            [
                _CUT.format(
                    role=sql.Identifier(role.name), long_ago=sql.Literal(LONG_AGO.isoformat())
                )
                for role in sorted(roles, key=lambda role: role.oid)
            ]
        )
    return found


def _memberships(session: Session, role_oids: Sequence[int]) -> list[psycopg.rows.DictRow]:
    return session.rows(_MEMBERSHIPS, {"oids": list(role_oids)}) if role_oids else []


def _revoke_memberships(session: Session, role_oids: Sequence[int]) -> None:
    """Take the rights away. A refusal here is not fatal: the role is cut already, and what stays
    is read from the catalog afterwards, never from the command's own word.

    One statement takes a permission from many: after each the server goes through all that the broker
    may administer anew, which with thousands of open grants takes longer than everything else.
    """
    memberships = _memberships(session, role_oids)
    holders: dict[str, list[str]] = defaultdict(list)
    for row in memberships:
        holders[row["permission"]].append(row["role"])
    try:
        session.run([_revoke(permission, roles) for permission, roles in holders.items()])
    except psycopg.Error:
        if session.connection.broken:
            raise
        for revoke in [_revoke(row["permission"], [row["role"]]) for row in memberships]:
            try:
                session.run([revoke])
            except psycopg.Error as error:
                if session.connection.broken:
                    raise
                log.warning(
                    "membership_not_revoked",
                    at=address(session.target),
                    why=query_failure(error, session.target).sentence,
                )


def _revoke(permission: str, roles: Sequence[str]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, roles))
    return _REVOKE.format(permission=sql.Identifier(permission), roles=names)
