"""Notice commits of any process, at the cost of one trivial statement.

docs/decisions/0024-workers-poll-for-commits.md
"""

from django.db import connection

# PostgreSQL: which transactions of the server have ended, whether they committed or not.
# SQLite: a number that changes when another connection commits, and means nothing on a new connection.
_POSITION = {"postgresql": "SELECT pg_current_snapshot()::text", "sqlite": "PRAGMA data_version"}


class ChangeDetector:
    """Tells whether anything was committed since `reset`. For one thread, whose connection it uses."""

    def __init__(self) -> None:
        self._position: tuple[object, object] | None = None

    def reset(self) -> None:
        """Call before reading what may change, so that a commit meanwhile is detected."""
        self._position = self._read()

    def has_changes(self) -> bool:
        """Whether something may have been committed. True on a new connection."""
        return self._read() != self._position

    def _read(self) -> tuple[object, object]:
        with connection.cursor() as cursor:
            cursor.execute(_POSITION[connection.vendor])
            [position] = cursor.fetchone()
        return connection.connection, position
