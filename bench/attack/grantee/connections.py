"""Tactics that take more than SQL: how a client connects, reads and pauses."""

import select
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq
from psycopg.conninfo import make_conninfo

from accessflows.connectors.postgresql.names import lock_key
from accessflows.connectors.protocol import grant_id_of

if TYPE_CHECKING:
    from bench.attack.grantee.attempts import Attempt

CHALLENGE = 2  # the server's second answer to a sign-in, after which the client proves its password
LARGE_RESULT = b"SELECT repeat('x', 1000000) FROM generate_series(1, 1000)"


def stop_reading(attempt: "Attempt") -> None:
    """Have a large result sent, and read none of it: the server waits in the middle of a write."""
    session = attempt.sign_in()
    session.pgconn.send_query(LARGE_RESULT)
    session.pgconn.flush()
    attempt.hold(session)


def pause_sign_in(attempt: "Attempt") -> None:
    """Sign in up to the server's challenge, which the server takes from the password of that moment."""
    pgconn = pq.PGconn.connect_start(make_conninfo(**attempt.address, sslmode="disable").encode())
    answers = 0
    while answers < CHALLENGE:
        status = pgconn.connect_poll()
        _wait(pgconn, status)
        answers += status == pq.PollingStatus.READING
    attempt.finish_sign_in = lambda: _finish(pgconn)


def _finish(pgconn: pq.PGconn) -> bool:
    """Complete the sign-in, and return whether the server accepts it."""
    while (status := pgconn.connect_poll()) in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
        _wait(pgconn, status)
    return status == pq.PollingStatus.OK


def _wait(pgconn: pq.PGconn, status: pq.PollingStatus) -> None:
    readers = [pgconn.socket] if status == pq.PollingStatus.READING else []
    writers = [] if readers else [pgconn.socket]
    select.select(readers, writers, [], 10)


def open_second_database(attempt: "Attempt") -> None:
    attempt.sessions.append(attempt.sign_in(dbname="orders_staging"))


def try_replication(attempt: "Attempt") -> None:
    with suppress(psycopg.OperationalError):
        attempt.sessions.append(attempt.sign_in(replication="database"))


def take_advisory_locks(attempt: "Attempt") -> None:
    """Hold the locks under which the portal creates and drops logins, as somebody who can connect there."""
    grant_id = grant_id_of(attempt.credential.role)
    assert grant_id is not None
    session = attempt.sign_in_accomplice(dbname="postgres")
    session.execute("SELECT pg_advisory_lock(%s)", [lock_key(grant_id)])
    session.execute("SELECT pg_advisory_lock(hashtext('apono-portal-capacity'))")
    attempt.hold(session)


def create_trusted_extension(attempt: "Attempt") -> None:
    """Create whichever extension there is that does not take a superuser."""
    session = attempt.sign_in()
    names = session.execute(
        "SELECT name FROM pg_available_extension_versions WHERE trusted AND NOT installed"
        " AND name NOT IN (SELECT extname FROM pg_extension) AND requires IS NULL ORDER BY name LIMIT 1"
    ).fetchone()
    if names is not None:
        session.execute(f'CREATE EXTENSION "{names[0]}" SCHEMA sales'.encode())
    attempt.sessions.append(session)
