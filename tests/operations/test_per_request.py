"""What every request costs is paid once where it is always the same, and stays right."""

import pytest
from django.db import connection, connections

from accessflows.models import AccessFlow
from apono_portal.users.models import Role, User
from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest, Status


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_a_kept_connection_that_the_server_ended_is_noticed():
    ours, other = connections["default"], connections["default"].copy()
    ours.ensure_connection()
    assert ours.is_usable()
    pid = ours.connection.info.backend_pid
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    assert not ours.is_usable()
    ours.close()
    assert not ours.is_usable()
    ours.ensure_connection()
    assert ours.is_usable()


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        (Event, "event", EventName.choices),
        (AccessRequest, "status", Status.choices),
        (AccessFlow, "approval", AccessFlow.Approval.choices),
        (User, "role", Role.choices),
    ],
)
def test_words_for_a_value_are_those_of_its_field(model, field, words):
    said = [getattr(model(**{field: value}), f"get_{field}_display")() for value, _ in words]
    assert said == [label for _, label in words]
    assert getattr(model(**{field: "of old"}), f"get_{field}_display")() == "of old"
