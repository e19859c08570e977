"""Terminating open sessions, by the role's OID: it survives renaming and dropping the role."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import structlog
from psycopg import errors, sql

from accessflows.connectors.postgresql.connection import BrokerConnection

log = structlog.get_logger(__name__)

_WAIT_S = 5.0
_PAUSE_S = 0.02
_QUIET_SCANS = 2  # a sign-in that was in progress shows up between two scans

# The function behind pg_stat_activity: the view joins all roles to name that of each session.
_SCAN = sql.SQL(
    "SELECT usesysid::bigint AS oid, pid FROM pg_stat_get_activity(NULL)"
    " WHERE usesysid = ANY(%(oids)s::oid[])"
)
_SIGNAL = sql.SQL(
    "SELECT usesysid::bigint AS oid, pid, pg_terminate_backend(pid) AS signalled"
    " FROM pg_stat_get_activity(NULL) WHERE usesysid = ANY(%(oids)s::oid[])"
)


def terminate_sessions(
    connection: BrokerConnection,
    role_oids: Sequence[int],
    already_signalled: Iterable[tuple[int, int]] = (),
) -> dict[int, tuple[int, int]]:
    """Signal every session of these roles, then wait until two scans in a row find none.

    Returns, by OID, how many sessions were signalled and how many remain. ``already_signalled`` are
    further sessions to count, each as (OID, PID).
    """
    signalled: dict[int, set[int]] = {oid: set() for oid in role_oids}
    for oid, pid in already_signalled:
        if oid in signalled:
            signalled[oid].add(pid)
    remaining: list[tuple[int, int]] = []
    quiet, give_up_at = 0, time.monotonic() + _WAIT_S
    while quiet < _QUIET_SCANS and time.monotonic() < give_up_at:
        remaining = signal_sessions(connection, role_oids)
        for oid, pid in remaining:
            signalled[oid].add(pid)
        quiet = 0 if remaining else quiet + 1
        if quiet < _QUIET_SCANS:
            time.sleep(_PAUSE_S)
    counts = Counter(oid for oid, _ in remaining)
    return {oid: (len(signalled[oid]), counts[oid]) for oid in role_oids}


def count_open_sessions(connection: BrokerConnection, role_oid: int) -> int:
    return count_sessions(connection, [role_oid])[role_oid]


def count_sessions(connection: BrokerConnection, role_oids: Sequence[int]) -> Counter[int]:
    return Counter(row["oid"] for row in connection.rows(_SCAN, {"oids": list(role_oids)}))


def signal_sessions(
    connection: BrokerConnection, role_oids: Sequence[int]
) -> list[tuple[int, int]]:
    """Signal every session of these roles without waiting. Returns (OID, PID) of each."""
    values = {"oids": list(role_oids)}
    try:
        rows = connection.rows(_SIGNAL, values)
    except errors.InsufficientPrivilege:
        join_roles(connection, role_oids)
        rows = connection.rows(_SIGNAL, values)
    return [(row["oid"], row["pid"]) for row in rows]


def join_roles(connection: BrokerConnection, role_oids: Sequence[int]) -> None:
    """Make the broker a member of these roles it created, for their rights on sessions and objects.

    The membership ends when the role is dropped."""
    names = connection.rows(
        "SELECT rolname AS name FROM pg_roles WHERE oid = ANY(%(oids)s::oid[])"
        " AND NOT pg_has_role(oid, 'USAGE')",
        {"oids": list(role_oids)},
    )
    options = " WITH INHERIT TRUE, SET TRUE" if connection.has_membership_options else ""
    connection.run(
        [
            sql.SQL("GRANT {role} TO CURRENT_USER").format(role=sql.Identifier(row["name"]))
            + sql.SQL(options)
            for row in names
        ]
    )
