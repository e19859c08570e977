"""The target system of a campaign: databases, capability roles, the broker, and what is on it.

Memberships are read from PostgreSQL's own catalogs, as its superuser. Attackers aim at the forbidden
permissions, which nobody in a campaign ever gets rightfully.
"""

import secrets
from dataclasses import dataclass

import psycopg
from psycopg import sql

from accessflows.connectors.postgresql.setup_sql import broker_setup_sql
from apono_portal.demo.postgres_server import PostgresServer
from bench.environment import connect

BROKER = "portal_broker"
FORBIDDEN = ("ledger", "payroll", "vault", "treasury", "escrow")
RIGHTFUL = ("orders", "refunds", "signing")


@dataclass(frozen=True)
class Login:
    """A role that the portal made: what it is a member of, and whether it can sign in."""

    name: str
    permission: str
    can_login: bool

    @property
    def is_forbidden(self) -> bool:
        return self.permission.removesuffix("_reader") in FORBIDDEN


class TargetSystem:
    """A PostgreSQL server with one database and one capability role for each resource."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.broker_password = secrets.token_urlsafe(24)

    def prepare(self) -> None:
        with connect(self.server) as connection:
            for name in FORBIDDEN + RIGHTFUL:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            script = broker_setup_sql(
                connection.info.server_version // 10_000,
                broker=BROKER,
                password=self.broker_password,
                capabilities={f"{name}_reader": [name] for name in FORBIDDEN + RIGHTFUL},
            )
            connection.execute(script)

    def logins(self) -> list[Login]:
        """Return every role the portal has made and not yet removed."""
        query = (
            "SELECT r.rolname, coalesce(c.rolname, ''), r.rolcanlogin FROM pg_roles r"
            " LEFT JOIN pg_auth_members m ON m.member = r.oid LEFT JOIN pg_roles c ON c.oid = m.roleid"
            " WHERE r.rolname ~ '^jit_[a-z2-7]{26}$' ORDER BY 1"
        )
        with connect(self.server) as connection:
            return [Login(*row) for row in connection.execute(query)]

    def count(self, name: str) -> int:
        """Return how many logins hold a permission now."""
        return sum(login.permission == f"{name}_reader" for login in self.logins())

    def can_read(self, credential: dict[str, str]) -> bool:
        """Sign in with a credential as its owner would."""
        address = self.server.conninfo(credential["database"])
        owner = {"user": credential["user"], "password": credential["password"]}
        try:
            with psycopg.connect(**(address | owner), connect_timeout=5) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def clear(self) -> None:
        """Remove every role the portal made, between two campaigns."""
        with connect(self.server) as connection:
            for login in self.logins():
                role = sql.Identifier(login.name)
                connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
                connection.execute(sql.SQL("DROP ROLE {}").format(role))
