"""The database refuses every change of the audit log."""

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


def test_an_update_of_no_rows_is_allowed():
    assert Event.objects.update(actor_label="Nobody") == 0


def test_truncate_is_refused():
    if connection.vendor == "postgresql":
        record(event=EventName.SESSION_SIGN_IN, actor=None)
        refused("TRUNCATE audit_event CASCADE")
        assert Event.objects.count() == 1


def test_saving_an_existing_event_is_refused():
    event = record(event=EventName.SESSION_SIGN_IN, actor=None)
    event.actor_label = "Somebody else"
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic():
        event.save()


def test_an_event_rolls_back_with_its_write(member_user):
    with transaction.atomic():
        record(event=EventName.USER_CHANGE, actor=member_user, target=member_user)
        transaction.set_rollback(True)
    assert not Event.objects.exists()
