"""A database that stops responding without an error, as after a failover, must not stop the portal.

Neither the server's timeouts nor TCP's end every wait: behind a proxy the network still answers. So the
client stops waiting by itself. docs/decisions/0022-database-waits-are-bounded.md
"""

from types import ModuleType
from typing import Any, Self, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg import pq
from psycopg.abc import PQGen

POLL_SECONDS = 0.1

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when a response takes longer than ``response_timeout_s``."""

    response_timeout_s: float | None = None

    @classmethod
    def connect(  # type: ignore[override]  # Django passes keywords only
        cls, *, response_timeout_s: float | None = None, **parameters: Any
    ) -> Self:
        connection = super().connect(**parameters)
        connection.response_timeout_s = response_timeout_s
        return connection

    def wait(
        self, gen: PQGen[T], interval: float = POLL_SECONDS, timeout: float | None = None
    ) -> T:
        try:
            return super().wait(gen, interval, timeout or self.response_timeout_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self.close()  # the response is still to come: a rollback would wait for it, too
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with the driver's `connect` replaced."""

    Database = ModuleType(psycopg.__name__)
    vars(Database).update(vars(psycopg), connect=BoundedConnection.connect)
