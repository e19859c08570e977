"""A compiled query returns what its queryset returns."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import BigIntegerField, CharField, DateTimeField
from django.db.models.functions import Upper
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from apono_portal.core.db.compiled_query import CompiledQuery
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from tests.factories import AuthenticatorFactory, UserFactory

pytestmark = pytest.mark.django_db

events_by = CompiledQuery(
    lambda actor_id, label, since: Event.objects.filter(
        actor_id=actor_id, actor_label=label, at__gt=since
    ).order_by("pk"),
    BigIntegerField(),
    CharField(),
    DateTimeField(),
)


def make_event(**changes):
    fields = {"event": EventName.SESSION_SIGN_IN, "actor_id": 7, "actor_label": "Ada"} | changes
    return Event.objects.create(**fields)


def test_it_returns_the_instances_its_values_select():
    ours, other = make_event(metadata={"a": [1]}, address="192.0.2.1"), make_event(actor_id=8)
    since = timezone.now() - timedelta(hours=1)
    [event] = events_by(7, "Ada", since)
    assert (event, event.at, event.metadata) == (ours, ours.at, {"a": [1]})
    assert events_by(7, "Ada", timezone.now() + timedelta(hours=1)) == []
    assert events_by.first(8, "Ada", since) == other
    assert events_by.first(9, "Ada", since) is None


def test_related_instances_come_along(django_assert_num_queries):
    query = CompiledQuery(
        lambda pk: User.objects.select_related("mfa_state").filter(pk=pk), BigIntegerField()
    )
    enrolled, other = AuthenticatorFactory().user, UserFactory()
    with django_assert_num_queries(2):
        assert query.first(enrolled.pk).mfa_state.user_id == enrolled.pk
        assert getattr(query.first(other.pk), "mfa_state", None) is None


def test_annotations_come_along():
    query = CompiledQuery(
        lambda pk: Event.objects.filter(pk=pk).annotate(name=Upper("actor_label")),
        BigIntegerField(),
    )
    assert query.first(make_event().pk).name == "ADA"


def test_columns_left_out_are_deferred():
    query = CompiledQuery(
        lambda actor_id: Event.objects.filter(actor_id=actor_id).only("at"), BigIntegerField()
    )
    event = make_event()
    assert query.first(7).at == event.at
    assert query.first(7).get_deferred_fields() >= {"metadata"}


def test_its_sql_is_written_once(monkeypatch):
    query = CompiledQuery(lambda pk: Event.objects.filter(pk=pk), BigIntegerField())
    query(1)
    monkeypatch.delattr(SQLCompiler, "as_sql")
    assert query(2) == []


def test_text_in_a_value_stays_a_value():
    make_event()
    assert events_by(7, "' OR 1=1 --", timezone.now() - timedelta(hours=1)) == []


@pytest.mark.django_db(transaction=True)
def test_row_lock_needs_a_transaction():
    query = CompiledQuery(
        lambda pk: Event.objects.select_for_update().filter(pk=pk), BigIntegerField()
    )
    if connection.features.has_select_for_update:
        with pytest.raises(TransactionManagementError):
            query(1)
