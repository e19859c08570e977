"""What the target itself says: who can use what, and what is left. The portal's rows are not asked."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.chaos.ground import Ground

SAMPLE_S = 0.03
# Usable: a session is open, or the server would take a sign-in now.
_STANDING = (
    "SELECT r.rolname, r.rolcanlogin, r.rolcanlogin AND (r.rolvaliduntil IS NULL OR"
    " r.rolvaliduntil > clock_timestamp()) AS signs_in, count(a.pid) AS sessions"
    " FROM pg_roles r LEFT JOIN pg_stat_activity a ON a.usesysid = r.oid"
    r" WHERE r.rolname ~ '^jit_[a-z2-7]{26}$' GROUP BY r.oid, r.rolname, r.rolcanlogin, r.rolvaliduntil"
)
_ORPHANS = (
    "SELECT pid FROM pg_stat_activity a WHERE usesysid IS NOT NULL"
    " AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)"
)
_LEFT = (
    (
        "role",
        (
            r"SELECT rolname FROM pg_roles WHERE rolname ~ '^jit_[a-z2-7]{26}$' UNION"
            " SELECT r.rolname FROM pg_roles r JOIN pg_shdescription d ON d.objoid = r.oid"
            " AND d.classoid = 'pg_authid'::regclass WHERE d.description LIKE '{%apono-portal%'"
        ),
    ),
    ("orphan session", _ORPHANS),
    ("prepared transaction", "SELECT gid FROM pg_prepared_xacts"),
    (
        "membership of nobody",
        "SELECT roleid FROM pg_auth_members m WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.member)",
    ),
    (
        "dependency on nobody",
        (
            "SELECT objid FROM pg_shdepend s WHERE refclassid = 'pg_authid'::regclass"
            " AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.refobjid)"
        ),
    ),
)
_LEFT_IN_EACH = (
    "SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) x WHERE c.relacl IS NOT NULL"
    " AND EXISTS (SELECT FROM unnest(ARRAY[x.grantee, x.grantor]) who WHERE who <> 0"
    "   AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = who))"
    " UNION ALL SELECT c.oid::regclass::text FROM pg_class c"
    "   WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.relowner)"
)
DATABASES = ("orders", "orders_staging", "billing", "postgres")


@dataclass(frozen=True)
class Key:
    """A credential somebody holds: what it takes to sign in."""

    role: str
    database: str
    password: str = field(repr=False)


def sign_in(ground: Ground, key: Key) -> psycopg.Connection[Any]:
    """Straight to the server, whatever address the portal knows it by."""
    server = ground.target_server
    return psycopg.connect(
        host=server.host,
        port=server.port,
        dbname=key.database,
        user=key.role,
        password=key.password,
        connect_timeout=5,
        autocommit=True,
    )


def opens(ground: Ground, key: Key) -> bool:
    try:
        with sign_in(ground, key) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def still_answers(session: psycopg.Connection[Any]) -> bool:
    try:
        return session.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def usable(
    ground: Ground, keys: Sequence[Key], sessions: Iterable[psycopg.Connection[Any]] = ()
) -> set[str]:
    """Attempt every credential and every open session for real; name the roles that still work."""
    with ThreadPoolExecutor(8) as pool:
        tried = pool.map(lambda key: (key.role, opens(ground, key)), keys)
        found = {role for role, works in tried if works}
    return found | {session.info.user for session in sessions if still_answers(session)}


def standing(ground: Ground) -> dict[str, tuple[bool, bool, int]]:
    """Role to (may log in, would be let in now, open sessions)."""
    return {row[0]: (row[1], row[2], row[3]) for row in ground.ask(_STANDING)}


def left_behind(ground: Ground) -> list[str]:
    found = [f"{what} {row[0]}" for what, query in _LEFT for row in ground.ask(query)]
    for database in DATABASES:
        rows = ground.ask(_LEFT_IN_EACH, database=database)
        found += [f"right or owner of nobody on {database}.{row[0]}" for row in rows]
    return found


class Watch:
    """Looks at the target's catalogs many times a second and notes when each role was last usable.

    A role is contained when it has no session and may not log in, by the target's own word; it is
    usable while it has a session or would be let in.
    """

    def __init__(self, ground: Ground, roles: Iterable[str]) -> None:
        self.roles = set(roles)
        self.contained_at: dict[str, float] = {}
        self.last_usable_at: dict[str, float] = {}
        self._ground = ground
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    @property
    def done(self) -> bool:
        return len(self.contained_at) == len(self.roles)

    def wait(self, patience_s: float) -> bool:
        give_up_at = time.monotonic() + patience_s
        while not self.done and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return self.done

    def _look(self) -> None:
        connection = None
        while not self._enough.is_set() and not self.done:
            try:
                connection = connection or self._ground.admin()
                self._note(connection)
            except psycopg.Error:  # the target is down: nobody uses anything
                connection = None
            self._enough.wait(SAMPLE_S)
        if connection is not None:
            connection.close()

    def _note(self, connection: psycopg.Connection[Any]) -> None:
        rows = {row[0]: row[1:] for row in connection.execute(_STANDING).fetchall()}
        now = time.time()
        for role in self.roles - self.contained_at.keys():
            may_log_in, signs_in, sessions = rows.get(role, (False, False, 0))
            if signs_in or sessions:
                self.last_usable_at[role] = now
            if not may_log_in and not sessions:
                self.contained_at[role] = now
