"""A PostgreSQL target of the bench: logins made by the thousand, and what its catalogs say of them.

A broker makes some dozen logins a second. Here a superuser makes them, so that a run spends its time
on their end; in the catalogs they are the broker's own all the same.
"""

import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from accessflows.connectors.protocol import Target
from apono_portal.demo.postgres_server import PostgresServer, available_versions
from apono_portal.demo.target import provision_target
from bench.speed.ground import SERVER_SETTINGS, Ground

AT_ONCE = 250
PERMISSION = "orders_read"
DATABASE = "orders"
# The server itself says when a row of its catalogs was last changed.
SETTINGS = SERVER_SETTINGS | {"max_connections": "400", "track_commit_timestamp": "on"}
LOOK_EVERY_S = 0.02
CUT = sql.SQL(
    "SELECT rolname, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 FROM pg_authid"
    " WHERE rolname LIKE 'jit\\_%%' AND NOT rolcanlogin"
    " AND pg_xact_commit_timestamp(xmin) > to_timestamp(%(since)s)"
)


@dataclass(frozen=True)
class Login:
    """What is to be made. Only one that is signed in with has a password."""

    name: str
    comment: str
    until: datetime
    password: str = field(default="", repr=False)


@dataclass
class BenchTarget:
    server: PostgresServer
    broker: Target

    def conninfo(self, database: str = "postgres") -> dict[str, Any]:
        return dict(self.server.conninfo(database))

    def sign_in(self, name: str, password: str) -> psycopg.Connection[Any]:
        as_login = {"user": name, "password": password}
        return psycopg.connect(**(self.conninfo(DATABASE) | as_login), autocommit=True)

    def count_logins(self) -> int:
        with psycopg.connect(**self.conninfo()) as connection:
            [(number,)] = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'jit\\_%' AND rolname <> 'jit_graveyard'").fetchall()  # fmt: skip
        return int(number)


@contextmanager
def running_target(ground: Ground) -> Iterator[BenchTarget]:
    """A second server, with the demo's databases and a broker as the README makes it."""
    _version, bin_dir = max(available_versions().items())
    server = PostgresServer(bin_dir, ground.home / "target", settings=SETTINGS)
    try:
        server.start()
        yield BenchTarget(server, provision_target(server, secrets.token_urlsafe(24)))
    finally:
        server.stop()
        shutil.rmtree(server.home, ignore_errors=True)


def make_logins(
    connection: psycopg.Connection[Any], broker: str, logins: Sequence[Login]
) -> dict[str, int]:
    """Make them as the broker would have, and return the OID of each by name.

    First all that they hold, then the broker's power over them: the more a broker may administer the
    longer the server takes for each of its grants.
    """
    groups = [logins[first : first + AT_ONCE] for first in range(0, len(logins), AT_ONCE)]
    for group in groups:
        connection.execute(sql.SQL("; ").join([*_creations(group), _joining(group, broker)]))
    for group in groups:
        powers = sql.SQL("GRANT {logins} TO {broker} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        names = _names(group)
        connection.execute(powers.format(logins=names, broker=sql.Identifier(broker)))
    found = connection.execute("SELECT rolname, oid::bigint FROM pg_roles").fetchall()
    wanted = {login.name for login in logins}
    return {name: oid for name, oid in found if name in wanted}


def _creations(logins: Sequence[Login]) -> Iterator[sql.Composed]:
    for login in logins:
        password = sql.Literal(login.password or None)
        name = sql.Identifier(login.name)
        yield sql.SQL(
            "CREATE ROLE {name} LOGIN CONNECTION LIMIT 3 PASSWORD {password} VALID UNTIL {until}"
        ).format(name=name, password=password, until=sql.Literal(login.until.isoformat()))
        comment = sql.Literal(login.comment)
        yield sql.SQL("COMMENT ON ROLE {name} IS {comment}").format(name=name, comment=comment)


def _joining(logins: Sequence[Login], broker: str) -> sql.Composed:
    return sql.SQL(
        "GRANT {permission} TO {logins} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE GRANTED BY {broker}"
    ).format(
        permission=sql.Identifier(PERMISSION), logins=_names(logins), broker=sql.Identifier(broker)
    )


def _names(logins: Sequence[Login]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(login.name) for login in logins)


class Watch:
    """Notes when each login was cut, and until when each open session was there.

    When a login was cut is the time of the commit that changed its row.
    """

    def __init__(self, target: BenchTarget) -> None:
        self.cut_at: dict[str, float] = {}
        self.session_seen_at: dict[str, float] = {}
        self._target = target
        self._over = threading.Event()
        looks = (self._look_at_logins, self._look_at_sessions)
        self._threads = [threading.Thread(target=look, daemon=True) for look in looks]

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _look_at_logins(self) -> None:
        since = time.time()
        with psycopg.connect(**self._target.conninfo(), autocommit=True) as connection:
            while not self._over.wait(10 * LOOK_EVERY_S):
                for name, at in connection.execute(CUT, {"since": since - 5}).fetchall():
                    self.cut_at.setdefault(name, at)
                since = max(self.cut_at.values(), default=since)

    def _look_at_sessions(self) -> None:
        asked = "SELECT usename FROM pg_stat_activity WHERE usename LIKE 'jit\\_%'"
        with psycopg.connect(**self._target.conninfo(), autocommit=True) as connection:
            while not self._over.wait(LOOK_EVERY_S):
                open_now, now = connection.execute(asked).fetchall(), time.time()
                self.session_seen_at.update({name: now for (name,) in open_now})
