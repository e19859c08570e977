"""Reading login roles from the catalogs, and telling the portal's from everybody else's."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetMismatch, TargetRefused
from accessflows.connectors.postgresql.connection import BrokerConnection, Query
from accessflows.connectors.postgresql.names import Marker, lock_key, read_marker
from accessflows.connectors.protocol import (
    GrantIdentity,
    grant_id_of,
    login_of,
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
    "WHERE d.description LIKE '{%%' AND r.rolname > %(after)s::name"
    " AND (%(up_to)s::name IS NULL OR r.rolname <= %(up_to)s::name) ORDER BY r.rolname LIMIT %(limit)s"
)
_LOCK = sql.SQL("SELECT pg_advisory_xact_lock(key) FROM unnest(%(keys)s::bigint[]) AS key")


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BATCH_SIZE = 200  # roles in memory at a time


@dataclass(frozen=True, slots=True)
class Role:
    """A role in the catalogs. `valid_until` None means that it never expires."""

    oid: int
    name: str
    can_login: bool
    valid_until: datetime | None
    connection_limit: int
    has_attributes: bool
    marker: Marker | None

    @property
    def is_disabled(self) -> bool:
        """Whether the portal disabled it: only the portal writes EPOCH, and a grantee can change neither."""
        return not self.can_login and self.valid_until == EPOCH

    @property
    def has_portal_expiry(self) -> bool:
        """Whether the expiry looks like the portal's: with microseconds, or that of a disabled role."""
        return self.is_disabled or bool(self.valid_until and self.valid_until.microsecond)

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
class MismatchedRole:
    """A role found in place of a grant's role.

    `has_oid`: it has the OID of the grant's role, so the sessions are its own. `unmarked` is set if it is
    the grant's but for the lost comment: the portal disables such a role but does not drop it.
    """

    mismatch: TargetMismatch
    has_oid: bool = True
    unmarked: Role | None = None


@dataclass(frozen=True)
class OtherRole:
    """Somebody else's role with the OID of a grant's role, which is gone.

    The server gives an OID again after it was restored from an older backup.
    """

    role: Role


Lookup = Role | MismatchedRole | OtherRole | None


def identity_of(login: str, oid: int, server_id: str) -> GrantIdentity:
    """Return the identity of a role. Its mark is the OID, which a rename does not change."""
    return GrantIdentity(login, str(oid), server_id)


def oid_of(identity: GrantIdentity) -> int:
    """Return the OID in a mark; 0, which no role has, if it holds none."""
    mark = identity.mark
    return int(mark) if mark.isascii() and mark.isdigit() and len(mark) <= 10 else 0


def lock_grants(connection: BrokerConnection, identities: Sequence[GrantIdentity]) -> None:
    """Take the grants' advisory locks for this transaction, always in the same order.

    Advisory locks are per database: all callers use the maintenance database.
    """
    connection.rows(*lock_query([identity.name for identity in identities]))


def lock_query(role_names: Sequence[str]) -> Query:
    return _LOCK, {"keys": sorted(lock_key(_grant_id(name)) for name in role_names)}


def _grant_id(role_name: str) -> uuid.UUID:
    grant_id = grant_id_of(role_name)
    if grant_id is None:
        raise TargetRefused(f"{role_name} is not the name of a grant's role. Nothing was touched.")
    return grant_id


def role_query(name: str) -> Query:
    return _BY_NAME, {"name": name}


def role_from(rows: Sequence[DictRow]) -> Role | None:
    """Return the role in the result of `role_query`."""
    return Role.of(rows[0]) if rows else None


def find_roles(
    connection: BrokerConnection, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Lookup]:
    """Return each grant's role, None if it does not exist, or why the role found must not be touched.

    Roles are found by OID first, so that one renamed by hand is still the grant's.
    """
    rows = connection.rows(
        _BY_IDENTITY,
        {
            "oids": [oid_of(identity) for identity in identities],
            "names": [identity.name for identity in identities],
        },
    )
    roles = [Role.of(row) for row in rows]
    by_oid = {role.oid: role for role in roles}
    by_name = {role.name: role for role in roles}
    portal_id = connection.target.portal_id
    return {
        identity: _match(
            identity, by_oid.get(oid_of(identity)), by_name.get(identity.name), portal_id
        )
        for identity in identities
    }


def find_role(connection: BrokerConnection, identity: GrantIdentity) -> Role | None:
    """Return one grant's role, or None if it does not exist. Raises TargetMismatch."""
    lookup = find_roles(connection, [identity])[identity]
    if isinstance(lookup, MismatchedRole):
        raise lookup.mismatch
    return None if isinstance(lookup, OtherRole) else lookup


def is_other_role(identity: GrantIdentity, role: Role) -> bool:
    """Whether a role with the OID of a grant's role is somebody else's: another grant's by name and
    marker, or one that has neither, nor an expiry of the portal's."""
    if role.name == identity.name:
        return False
    if role.marker is None:
        return not role.has_portal_expiry
    return (
        role.marker.grant_id != grant_id_of(identity.name)
        and login_of(role.marker.grant_id) == role.name
    )


def _match(
    identity: GrantIdentity, same_oid: Role | None, same_name: Role | None, portal_id: str
) -> Lookup:
    reused = same_oid is not None and is_other_role(identity, same_oid)
    if same_oid is not None and reused and same_name is None:
        return OtherRole(same_oid)
    if same_oid is not None and not reused:
        marker = same_oid.marker
        if marker is not None and portal_id not in {"", marker.portal_id}:
            return MismatchedRole(
                TargetMismatch(
                    f"The login {same_oid.name} belongs to the portal {marker.portal_id}; this one is "
                    f"{portal_id}. It was not touched. If PORTAL_ID was changed, set it back; if this "
                    "is a copy of that portal's database, keep its workers stopped."
                )
            )
        if marker is not None and marker.grant_id == grant_id_of(identity.name):
            return same_oid
        sentence = _unmarked_sentence(identity, same_oid)
        return MismatchedRole(
            TargetMismatch(sentence), unmarked=None if marker is not None else same_oid
        )
    if same_name is not None:
        sentence = (
            f"A role named {identity.name} exists, but it is not the one the portal created "
            f"(OID {same_name.oid}, expected {identity.mark}). It was not touched. "
            "Find out who created it."
        )
        return MismatchedRole(TargetMismatch(sentence), has_oid=reused)
    return None


def _unmarked_sentence(identity: GrantIdentity, role: Role) -> str:
    if role.name == identity.name:
        return (
            f"The role {role.name} no longer has the portal's marker for its grant. Inspect it on the "
            "server and drop it by hand if it is not needed."
        )
    return (
        f"The role {role.name} has the OID of {identity.name}, but neither its name nor its marker. "
        f"It was not dropped. If it is that login, rename it to {identity.name} and drop it by hand; "
        "if it is another account, remove its expiry or set one without fractions of a second."
    )


def marked_batch(
    connection: BrokerConnection, portal_id: str | None, after: str = "", up_to: str | None = None
) -> tuple[list[Role], str | None]:
    """Return the next roles with a marker, by name, and the name up to which the list is complete.

    None instead of a name: there are no others.
    """
    rows = connection.rows(_WITH_COMMENT, {"after": after, "up_to": up_to, "limit": BATCH_SIZE})
    roles = [
        role
        for role in map(Role.of, rows)
        if role.marker is not None and portal_id in (None, role.marker.portal_id)
    ]
    return roles, rows[-1]["name"] if len(rows) == BATCH_SIZE else up_to


def marked_roles(connection: BrokerConnection, portal_id: str | None) -> Iterator[Role]:
    """Iterate over all roles with a marker, a batch at a time."""
    after: str | None = ""
    while after is not None:
        roles, after = marked_batch(connection, portal_id, after)
        yield from roles


def roles_with_oids(connection: BrokerConnection, oids: Sequence[int]) -> list[Role]:
    values = {"oids": list(oids), "names": []}
    return [Role.of(row) for row in connection.rows(_BY_IDENTITY, values)] if oids else []
