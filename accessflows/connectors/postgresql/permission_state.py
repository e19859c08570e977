"""What a capability role gave to others or set for itself, compared before and after a grant, and undone.

On 15 and older, a grantee can become the capability role; on any version, one whose capability role owns objects or
has grant options can give others access as that role. Such rights belong to the capability role, so cleaning
up after the login does not find them.
"""

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from psycopg import errors, sql
from psycopg.rows import DictRow

from accessflows.connectors.errors import TargetRefused, TargetUnavailable
from accessflows.connectors.postgresql import setup_sql
from accessflows.connectors.postgresql.cleaning import reassign_owned
from accessflows.connectors.postgresql.connection import (
    BrokerConnection,
    Query,
    connect_as_broker,
)
from accessflows.connectors.postgresql.errors import WILL_RETRY, quote
from accessflows.connectors.postgresql.permission_queries import (
    DATABASES,
    ENTRIES,
    GRANT_OPTIONS,
    MAY_BECOME,
    MAY_READ_PASSWORDS,
    OID,
    OWNED,
    PASSWORDS,
    SETTINGS,
)
from accessflows.connectors.postgresql.permissions import (
    name_refusal,
    raise_if_refused,
    reachable_roles,
    roles_refusal,
)
from accessflows.connectors.postgresql.settings import maintenance_database
from accessflows.connectors.protocol import PermissionEntry, PermissionState, Target

log = structlog.get_logger(__name__)

MAX_ENTRIES = 5000
MAX_OBJECTS = 200  # per database


_readers: defaultdict[Target, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def reading(target: Target) -> Iterator[None]:
    """Let one thread at a time read a target, so that a worker has one connection per database for it."""
    with _readers[target]:
        yield


def read_permission(target: Target, permission: str, *, server_id: str = "") -> PermissionState:
    """Return what the roles of a permission have given to others or set, in every database."""
    with connect_as_broker(target) as connection:
        connection.check_server(server_id)
        with reading(target):
            return permission_state(connection, permission)


def permission_state(
    connection: BrokerConnection, permission: str, *, allow_delegation: bool = True
) -> PermissionState:
    """Like `read_permission`, over a connection to the maintenance database.

    Unless `allow_delegation`, refuses a permission with which grantees could give others access.
    """
    target = connection.target
    rows = connection.rows(*reachable_roles(permission))
    if not allow_delegation:
        raise_if_refused(_as_refusal(_ownership(permission, rows)))
    oids = [row["oid"] for row in rows]
    databases = databases_of(connection, permission, oids)
    entries = _entries_about_roles(connection, oids)
    entries += _read(connection, permission, oids, allow_delegation=allow_delegation)
    for database in databases:
        if database != maintenance_database(target):
            with connect_as_broker(target, database=database) as other:
                other.check_server(connection.system_identifier)
                entries += _read(other, permission, oids, allow_delegation=allow_delegation)
    if len(entries) > MAX_ENTRIES:
        raise TargetRefused(
            f"{permission} owns too many objects or has given others too many rights to compare afterwards "
            f"(more than {MAX_ENTRIES}). Use a narrower role."
        )
    return PermissionState(tuple(entries), roles=tuple(row["name"] for row in rows))


def _entries_about_roles(
    connection: BrokerConnection, oids: Sequence[int]
) -> list[PermissionEntry]:
    """Return settings, and passwords if the broker may see whether there are any."""
    values = {"oids": list(oids), "limit": MAX_ENTRIES + 1}
    settings, [may_read] = connection.pipeline([(SETTINGS, values), (MAY_READ_PASSWORDS, None)])
    passwords = connection.rows(PASSWORDS, values) if may_read["ok"] else []
    return _entries(maintenance_database(connection.target), [*settings, *passwords])


def _read(
    connection: BrokerConnection, permission: str, oids: Sequence[int], *, allow_delegation: bool
) -> list[PermissionEntry]:
    """Return what was given to others in the connected database, in one round trip."""
    database = connection.raw.info.dbname
    values = {"oids": list(oids), "shared": database == maintenance_database(connection.target)}
    queries: list[Query] = [
        (ENTRIES, {**values, "limit": MAX_ENTRIES + 1}),
        (OWNED, {**values, "limit": MAX_OBJECTS}),
    ]
    if not allow_delegation:
        queries.append((GRANT_OPTIONS, values))
    entries, owned, *granted = connection.pipeline(queries)
    for row in granted[0] if granted else ():
        raise_if_refused(_as_refusal(_grant_option(permission, row["role"], row["granted"])))
    return _entries(database, [*entries, *owned])


def check_permission(target: Target, permission: str, *, allow_delegation: bool = False) -> None:
    """Raise TargetRefused if this permission must not be granted on this target."""
    with connect_as_broker(target) as connection:
        raise_if_refused(name_refusal(permission))
        rows = connection.rows(*reachable_roles(permission))
        raise_if_refused(roles_refusal(permission, rows))
        if not allow_delegation:
            raise_if_refused(_as_refusal(delegation_of(connection, permission, rows)))


def delegation_of(connection: BrokerConnection, permission: str, rows: Sequence[DictRow]) -> str:
    """Return how grantees could give others access, or an empty string.

    `rows` is the result of `reachable_roles`.
    """
    if reason := _ownership(permission, rows):
        return reason
    oids = [row["oid"] for row in rows]
    database = maintenance_database(connection.target)
    granted = grant_options(connection, oids, shared=True)
    for name in databases_of(connection, permission, oids):
        if name != database and not granted:
            with connect_as_broker(connection.target, database=name) as other:
                granted = grant_options(other, oids)
    for role, right in granted.values():
        return _grant_option(permission, role, right)
    return ""


def _ownership(permission: str, rows: Sequence[DictRow]) -> str:
    for row in rows:
        if row["owns"]:
            return (
                f"{_named(permission, row['name'])} owns objects or default privileges, so grantees could "
                "give others access to them."
            )
    return ""


def _grant_option(permission: str, role: str, right: str) -> str:
    return f"{_named(permission, role)} has {right} WITH GRANT OPTION, so grantees could give it to others."


def _as_refusal(reason: str) -> str:
    return f"{reason} Use a narrower role, or allow this on the access flow." if reason else ""


def grant_options(
    connection: BrokerConnection, oids: Sequence[int], *, shared: bool = False
) -> dict[int, tuple[str, str]]:
    """Return, by OID, name and one right of every role that may grant it, in the connected database."""
    rows = connection.rows(GRANT_OPTIONS, {"oids": list(oids), "shared": shared})
    return {row["oid"]: (row["role"], row["granted"]) for row in rows}


def databases_of(connection: BrokerConnection, permission: str, oids: Sequence[int]) -> list[str]:
    """Return the databases in which the roles have rights; refuse those that only grantees can connect to."""
    rows = connection.rows(DATABASES, {"oids": list(oids), "permission": permission})
    for row in rows:
        if not row["readable"]:
            raise TargetRefused(
                f"The broker can't connect to {row['name']}, where {permission} has rights. "
                "Grant it CONNECT on that database."
            )
    return [row["name"] for row in rows]


def undo_permission_changes(
    target: Target,
    permission: str,
    changes: Iterable[PermissionEntry],
    *,
    server_id: str = "",
) -> None:
    """Undo changes as the role that made them, one transaction per database. Safe to repeat."""
    by_database: dict[str, list[PermissionEntry]] = defaultdict(list)
    for change in changes:
        by_database[change.database].append(change)
    for database, entries in by_database.items():
        with connect_as_broker(target, database=database) as connection:
            connection.check_server(server_id)
            try:
                with connection.transaction():
                    _undo(connection, permission, entries)
            except (errors.InsufficientPrivilege, errors.InvalidGrantOperation) as error:
                raise TargetRefused(_by_hand(permission, database, entries, error)) from None
            except errors.UniqueViolation:
                raise TargetUnavailable(
                    f"Another worker is already undoing changes made by {permission}. {WILL_RETRY}"
                ) from None
        log.info("permission_changes_undone", permission=permission, count=len(entries))


def _undo(
    connection: BrokerConnection, permission: str, entries: Sequence[PermissionEntry]
) -> None:
    """The broker becomes a member for this transaction only, which nobody else ever sees."""
    usage = "SET" if connection.has_membership_options else "MEMBER"
    member = connection.row(MAY_BECOME, {"role": permission, "usage": usage})["ok"]
    name = sql.Identifier(permission)
    if not member:
        options = " WITH INHERIT TRUE, SET TRUE" if connection.has_membership_options else ""
        connection.run([sql.SQL("GRANT {} TO CURRENT_USER").format(name) + sql.SQL(options)])
    for role in dict.fromkeys(entry.role for entry in entries):
        own = [entry for entry in entries if entry.role == role]
        connection.run([sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role))])
        for entry in own:
            if entry.undo:
                connection.execute(entry.undo.encode())
        connection.execute("RESET ROLE")
        if any(entry.kind == "object" for entry in own):
            oid = connection.row(OID, {"role": role})["oid"]
            reassign_owned(connection, oid, role)
    if not member:
        connection.run([sql.SQL("REVOKE {} FROM CURRENT_USER").format(name)])


def _entries(database: str, rows: Sequence[DictRow]) -> list[PermissionEntry]:
    return [
        PermissionEntry(
            key=f"{database}:{row['key']}",
            database=database,
            role=row["role"],
            kind=row["kind"],
            text=row["text"],
            undo=row["undo"],
        )
        for row in rows
    ]


def _named(permission: str, role: str) -> str:
    return permission if role == permission else f"{permission}, as a member of {role},"


def _by_hand(
    permission: str, database: str, entries: Sequence[PermissionEntry], error: errors.Error
) -> str:
    statements = [
        f"SET ROLE {setup_sql.identifier(entry.role)}; {entry.undo}; RESET ROLE;"
        for entry in entries
        if entry.undo
    ]
    return (
        f"The broker can't undo what grantees of {permission} did in {database} "
        f"({quote(error.diag.message_primary)}). Ask a superuser to run this there: {' '.join(statements)}"
    )
