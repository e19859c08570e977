"""Ending open sessions, by the role's OID: it is kept when the role is renamed or dropped."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence

import structlog
from psycopg import errors, sql

from accessflows.connectors.postgresql.connection import Session

log = structlog.get_logger(__name__)

_WAIT_S = 5.0
_PAUSE_S = 0.02
_QUIET_SCANS = 2  # a login that was under way shows up between two scans

# The function beneath pg_stat_activity: the view goes through all roles to name each session's.
_SCAN = sql.SQL(
    "SELECT usesysid::bigint AS oid, pid FROM pg_stat_get_activity(NULL)"
    " WHERE usesysid = ANY(%(oids)s::oid[])"
)
_SIGNAL = sql.SQL(
    "SELECT usesysid::bigint AS oid, pid, pg_terminate_backend(pid) AS told"
    " FROM pg_stat_get_activity(NULL) WHERE usesysid = ANY(%(oids)s::oid[])"
)


def end_sessions_of(
    session: Session, role_oids: Sequence[int], told_before: Iterable[tuple[int, int]] = ()
) -> dict[int, tuple[int, int]]:
    """Signal every session of these roles, then wait until two scans in a row find none.

    Returns, by OID, how many sessions were told to end and how many are still there.
    ``told_before`` are sessions that count, each as (OID, process).
    """
    told: dict[int, set[int]] = {oid: set() for oid in role_oids}
    for oid, pid in told_before:
        if oid in told:
            told[oid].add(pid)
    open_now: list[tuple[int, int]] = []
    quiet, give_up_at = 0, time.monotonic() + _WAIT_S
    while quiet < _QUIET_SCANS and time.monotonic() < give_up_at:
        open_now = signal_sessions_of(session, role_oids)
        for oid, pid in open_now:
            told[oid].add(pid)
        quiet = 0 if open_now else quiet + 1
        if quiet < _QUIET_SCANS:
            time.sleep(_PAUSE_S)
    left = [oid for oid, _ in open_now]
    return {oid: (len(told[oid]), left.count(oid)) for oid in role_oids}


def open_sessions_of(session: Session, role_oid: int) -> int:
    return count_sessions(session, [role_oid])[role_oid]


def count_sessions(session: Session, role_oids: Sequence[int]) -> Counter[int]:
    return Counter(row["oid"] for row in session.rows(_SCAN, {"oids": list(role_oids)}))


def signal_sessions_of(session: Session, role_oids: Sequence[int]) -> list[tuple[int, int]]:
    """Tell every session of these roles to end, without waiting. Each as (OID, process)."""
    values = {"oids": list(role_oids)}
    try:
        found = session.rows(_SIGNAL, values)
    except errors.InsufficientPrivilege:
        join_roles(session, role_oids)
        found = session.rows(_SIGNAL, values)
    return [(row["oid"], row["pid"]) for row in found]


def join_roles(session: Session, role_oids: Sequence[int]) -> None:
    """Make the broker a member of these roles of its own making, with their power over sessions
    and objects. The membership ends with the role."""
    names = session.rows(
        "SELECT rolname AS name FROM pg_roles WHERE oid = ANY(%(oids)s::oid[])"
        " AND NOT pg_has_role(oid, 'USAGE')",
        {"oids": list(role_oids)},
    )
    options = " WITH INHERIT TRUE, SET TRUE" if session.has_membership_options else ""
    session.run(
        [
            sql.SQL("GRANT {role} TO CURRENT_USER").format(role=sql.Identifier(row["name"]))
            + sql.SQL(options)
            for row in names
        ]
    )
