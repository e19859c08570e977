"""Reading login roles back from the catalogs, and telling ours from everybody else's."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.postgresql.connection import Question, Session
from accessflows.connectors.postgresql.names import Marker, lock_key, read_marker
from accessflows.connectors.protocol import (
    GrantIdentity,
    grant_id_of,
)

_COLUMNS = sql.SQL(
    "SELECT r.oid::bigint AS oid, r.rolname AS name, r.rolcanlogin AS can_login,"
    " CASE r.rolvaliduntil WHEN 'infinity' THEN NULL WHEN '-infinity' THEN to_timestamp(0)"
    "   ELSE r.rolvaliduntil END AS valid_until,"
    " r.rolconnlimit AS connection_limit,"
    " r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls"
    "   AS has_attributes,"
    " d.description AS comment"
    " FROM pg_roles r LEFT JOIN pg_shdescription d"
    "   ON d.objoid = r.oid AND d.classoid = 'pg_authid'::regclass "
)
_BY_NAME = _COLUMNS + sql.SQL("WHERE r.rolname = %(name)s")
_BY_IDENTITY = _COLUMNS + sql.SQL(
    "WHERE r.oid = ANY(%(oids)s::oid[]) OR r.rolname = ANY(%(names)s::name[])"
)
_WITH_COMMENT = _COLUMNS + sql.SQL(
    "WHERE d.description LIKE '{%%' AND r.oid > %(after)s::oid AND r.oid <= %(upto)s::oid"
    " ORDER BY r.oid LIMIT %(most)s"
)
_LOCK = sql.SQL("SELECT pg_advisory_xact_lock(key) FROM unnest(%(keys)s::bigint[]) AS key")


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
LAST_OID = 2**32 - 1
AT_ONCE = 200  # roles that are held at once


@dataclass(frozen=True, slots=True)
class Role:
    """A role as the catalogs have it. `valid_until` None means for ever."""

    oid: int
    name: str
    can_login: bool
    valid_until: datetime | None
    connection_limit: int
    has_attributes: bool
    marker: Marker | None

    @property
    def is_cut(self) -> bool:
        """Cut by the portal: only it writes this instant, and a grantee cannot change either."""
        return not self.can_login and self.valid_until == LONG_AGO

    @classmethod
    def of(cls, row: DictRow) -> "Role":
        return cls(
            oid=row["oid"],
            name=row["name"],
            can_login=row["can_login"],
            valid_until=row["valid_until"],
            connection_limit=row["connection_limit"],
            has_attributes=row["has_attributes"],
            marker=read_marker(row["comment"]),
        )


@dataclass(frozen=True)
class Stranger:
    """What stands where a grant's role should be.

    `has_oid` says that it has the role's OID, so its sessions are its own. `unmarked` is set if it
    has OID and name of ours and only the comment is gone: ours to cut, but not ours to drop.
    """

    mismatch: TargetMismatch
    has_oid: bool = True
    unmarked: Role | None = None


Found = Role | Stranger | None


def lock_grants(session: Session, identities: Sequence[GrantIdentity]) -> None:
    """Take the grants' advisory locks for this transaction, in one order for everybody.

    Advisory locks belong to a database: all callers use the maintenance database.
    """
    session.rows(*lock_question([identity.role_name for identity in identities]))


def lock_question(role_names: Sequence[str]) -> Question:
    return _LOCK, {"keys": sorted(lock_key(_grant_id(name)) for name in role_names)}


def _grant_id(role_name: str) -> uuid.UUID:
    grant_id = grant_id_of(role_name)
    if grant_id is None:
        raise TargetRefused(f"{role_name} is not the name of a grant's role. Nothing was touched.")
    return grant_id


def role_question(name: str) -> Question:
    return _BY_NAME, {"name": name}


def role_in(rows: Sequence[DictRow]) -> Role | None:
    """The role in the answer to `role_question`."""
    return Role.of(rows[0]) if rows else None


def find_ours(session: Session, identities: Sequence[GrantIdentity]) -> dict[GrantIdentity, Found]:
    """Each grant's role, None if it is gone, or why what is there must not be touched.

    A role is found by OID first, so that one renamed by hand is still ours.
    """
    rows = session.rows(
        _BY_IDENTITY,
        {
            "oids": [identity.role_oid for identity in identities],
            "names": [identity.role_name for identity in identities],
        },
    )
    roles = [Role.of(row) for row in rows]
    by_oid = {role.oid: role for role in roles}
    by_name = {role.name: role for role in roles}
    return {
        identity: _judge(identity, by_oid.get(identity.role_oid), by_name.get(identity.role_name))
        for identity in identities
    }


def require_ours(session: Session, identity: GrantIdentity) -> Role | None:
    """`find_ours` for one, with the mismatch raised."""
    found = find_ours(session, [identity])[identity]
    if isinstance(found, Stranger):
        raise found.mismatch
    return found


def _judge(identity: GrantIdentity, same_oid: Role | None, same_name: Role | None) -> Found:
    if same_oid is not None:
        marker = same_oid.marker
        if marker is not None and marker.grant_id == grant_id_of(identity.role_name):
            return same_oid
        sentence = (
            f"The role {same_oid.name} no longer bears the portal's marker for its grant. Look at "
            "it on the server and drop it by hand if it is not needed."
        )
        unmarked = marker is None and same_oid.name == identity.role_name
        return Stranger(TargetMismatch(sentence), unmarked=same_oid if unmarked else None)
    if same_name is not None:
        sentence = (
            f"A role named {identity.role_name} exists, but it is not the one the portal made "
            f"(OID {same_name.oid}, expected {identity.role_oid}). It was not touched. "
            "Find out who made it."
        )
        return Stranger(TargetMismatch(sentence), has_oid=False)
    return None


def marked_slice(
    session: Session, portal_id: str | None, after: int = 0, upto: int = LAST_OID
) -> tuple[list[Role], int]:
    """The next marked roles in the order of their OIDs, and up to which OID these are all."""
    rows = session.rows(_WITH_COMMENT, {"after": after, "upto": upto, "most": AT_ONCE})
    roles = [
        role
        for role in map(Role.of, rows)
        if role.marker is not None and portal_id in (None, role.marker.portal_id)
    ]
    return roles, rows[-1]["oid"] if len(rows) == AT_ONCE else upto


def marked_roles(session: Session, portal_id: str | None) -> Iterator[Role]:
    """All of them, few at a time."""
    after = 0
    while after < LAST_OID:
        roles, after = marked_slice(session, portal_id, after)
        yield from roles


def with_oids(session: Session, oids: Sequence[int]) -> list[Role]:
    values = {"oids": list(oids), "names": []}
    return [Role.of(row) for row in session.rows(_BY_IDENTITY, values)] if oids else []
