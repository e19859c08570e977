"""The database itself refuses to change the audit log, whoever asks and however."""

import pytest
from django.db import DatabaseError, connection, transaction

from audit.events import EventName
from audit.models import Event
from audit.services import record

pytestmark = pytest.mark.django_db


def refused(sql: str) -> None:
    with (
        pytest.raises(DatabaseError, match="the audit log cannot be changed"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_event SET actor_label = 'Nobody'",
        "UPDATE audit_event SET id = id + 1",
        "DELETE FROM audit_event",
        "DELETE FROM audit_event WHERE id = (SELECT max(id) FROM audit_event)",
    ],
)
def test_plain_sql_cannot_change_a_row(sql):
    event = record(event=EventName.SESSION_SIGN_IN, actor=None)
    refused(sql)
    assert Event.objects.get().pk == event.pk


def test_an_empty_log_takes_a_pointless_update():
    assert Event.objects.update(actor_label="Nobody") == 0


def test_truncate_is_refused():
    if connection.vendor == "postgresql":
        record(event=EventName.SESSION_SIGN_IN, actor=None)
        refused("TRUNCATE audit_event CASCADE")
        assert Event.objects.count() == 1


def test_saving_a_read_row_is_refused():
    event = record(event=EventName.SESSION_SIGN_IN, actor=None)
    event.actor_label = "Somebody else"
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        event.save()


def test_an_event_goes_with_the_write_it_tells_of(member_user):
    with transaction.atomic():
        record(event=EventName.USER_CHANGE, actor=member_user, target=member_user)
        transaction.set_rollback(True)
    assert not Event.objects.exists()
