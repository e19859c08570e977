"""``manage.py migrate``: Django's, but only one at a time on a database, however many were started."""

import time
from typing import Any

from django.core.management.commands import migrate
from django.db import connections

LOCK_KEY = 4_150_016_337  # any number, the same in every release
POLL_SECONDS = 0.5


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Wait for a migration that runs elsewhere; what it did is then not done again.

        The lock belongs to the connection (PostgreSQL manual, 13.3.5), so it ends with this process.
        """
        connection = connections[options["database"]]
        if connection.vendor != "postgresql":
            super().handle(*args, **options)
            return
        with connection.cursor() as cursor:
            self._wait_for_lock(cursor)
        try:
            super().handle(*args, **options)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])

    def _wait_for_lock(self, cursor: Any) -> None:
        is_waiting = False
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_KEY])
            if cursor.fetchone() == (True,):
                return
            if not is_waiting:
                self.stdout.write("Another migration is running. Waiting for it.")
                is_waiting = True
            time.sleep(POLL_SECONDS)
