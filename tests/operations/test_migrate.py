"""Two processes that migrate at once: one waits for the other."""

import io
import threading

import pytest
from django.core.management import call_command
from django.db import connection

from apono_portal.management.commands.migrate import LOCK_KEY

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.server]


def migrate(output: io.StringIO) -> None:
    try:
        call_command("migrate", stdout=output, verbosity=1)
    finally:
        connection.close()


def test_a_migration_waits_for_another():
    if connection.vendor != "postgresql":
        pytest.skip("the lock is PostgreSQL's")
    output = io.StringIO()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK_KEY])
        other = threading.Thread(target=migrate, args=[output])
        other.start()
        other.join(1)
        assert output.getvalue() == "Another migration is running. Waiting for it.\n"
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_KEY])
    other.join(20)
    assert not other.is_alive()
    assert "No migrations to apply." in output.getvalue()
