"""What the target itself says: who can use what, and what is left. The portal's rows are not asked."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.chaos.environment import Environment
from bench.environment import wait_until

SAMPLE_S = 0.03
DATABASES = ("orders", "orders_staging", "billing", "postgres")
# Usable: a session is open, or the server would accept a sign-in now.
_ROLES = r"""
    SELECT r.rolname, r.rolcanlogin, r.rolcanlogin AND (r.rolvaliduntil IS NULL
        OR r.rolvaliduntil > clock_timestamp()) AS signs_in, count(a.pid) AS sessions
    FROM pg_roles r LEFT JOIN pg_stat_activity a ON a.usesysid = r.oid
    WHERE r.rolname ~ '^jit_[a-z2-7]{26}$' GROUP BY r.oid, r.rolname, r.rolcanlogin, r.rolvaliduntil"""
_LEFTOVERS = {
    "role": r"""
        SELECT rolname FROM pg_roles WHERE rolname ~ '^jit_[a-z2-7]{26}$'
        UNION SELECT r.rolname FROM pg_roles r JOIN pg_shdescription d ON d.objoid = r.oid
        AND d.classoid = 'pg_authid'::regclass WHERE d.description LIKE '{%apono-portal%'""",
    "session without a role": """
        SELECT pid FROM pg_stat_activity a WHERE usesysid IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = a.usesysid)""",
    "prepared transaction": "SELECT gid FROM pg_prepared_xacts",
    "membership without a role": """
        SELECT roleid FROM pg_auth_members m
        WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = m.member)""",
    "dependency without a role": """
        SELECT objid FROM pg_shdepend s WHERE refclassid = 'pg_authid'::regclass
        AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = s.refobjid)""",
}
_LEFTOVERS_IN_DATABASE = """
    SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) x WHERE c.relacl IS NOT NULL
        AND EXISTS (SELECT FROM unnest(ARRAY[x.grantee, x.grantor]) who WHERE who <> 0
        AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = who))
    UNION ALL SELECT c.oid::regclass::text FROM pg_class c
        WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = c.relowner)"""


@dataclass(frozen=True)
class Credential:
    role: str
    database: str
    password: str = field(repr=False)


def sign_in(environment: Environment, credential: Credential) -> psycopg.Connection[Any]:
    """Sign in straight to the server, whatever address the portal knows it by."""
    address = environment.target_server.conninfo(credential.database)
    owner = {"user": credential.role, "password": credential.password}
    return psycopg.connect(**(address | owner), connect_timeout=5, autocommit=True)


def _signs_in(environment: Environment, credential: Credential) -> bool:
    try:
        with sign_in(environment, credential) as connection:
            return is_alive(connection)
    except psycopg.OperationalError:
        return False


def is_alive(session: psycopg.Connection[Any]) -> bool:
    try:
        return session.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def usable_roles(
    environment: Environment,
    credentials: Sequence[Credential],
    sessions: Iterable[psycopg.Connection[Any]] = (),
) -> set[str]:
    """Attempt every credential and every open session, and return the roles that still work."""
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda item: _signs_in(environment, item), credentials))
    roles = {item.role for item, works in zip(credentials, results, strict=True) if works}
    return roles | {session.info.user for session in sessions if is_alive(session)}


def list_roles(environment: Environment) -> set[str]:
    return {row[0] for row in environment.query(_ROLES)}


def find_leftovers(environment: Environment) -> list[str]:
    leftovers = []
    for kind, query in _LEFTOVERS.items():
        leftovers += [f"{kind} {row[0]}" for row in environment.query(query)]
    for database in DATABASES:
        rows = environment.query(_LEFTOVERS_IN_DATABASE, database=database)
        leftovers += [f"right or owner without a role on {database}.{row[0]}" for row in rows]
    return leftovers


class Watch:
    """Samples the target's catalogs and notes when each role was last usable.

    A role is contained when it has no session and may not log in; it is usable while it has a session
    or could sign in.
    """

    def __init__(self, environment: Environment, roles: Iterable[str]) -> None:
        self.contained_at: dict[str, float] = {}
        self.last_usable_at: dict[str, float] = {}
        self._roles = set(roles)
        self._environment = environment
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def is_done(self) -> bool:
        return len(self.contained_at) == len(self._roles)

    def wait_until_done(self, timeout_s: float) -> float:
        """Wait until every role is contained, or for that long, and return the time."""
        wait_until(self.is_done, timeout_s=timeout_s)
        return time.time()

    def _run(self) -> None:
        connection = None
        while not self._stopping.is_set() and not self.is_done():
            try:
                connection = connection or self._environment.connect()
                self._sample(connection)
            except psycopg.Error:  # the target is down: nobody uses anything
                connection = None
            self._stopping.wait(SAMPLE_S)
        if connection is not None:
            connection.close()

    def _sample(self, connection: psycopg.Connection[Any]) -> None:
        rows = {row[0]: row[1:] for row in connection.execute(_ROLES).fetchall()}
        now = time.time()
        for role in self._roles - self.contained_at.keys():
            may_log_in, signs_in, sessions = rows.get(role, (False, False, 0))
            if signs_in or sessions:
                self.last_usable_at[role] = now
            if not may_log_in and not sessions:
                self.contained_at[role] = now
