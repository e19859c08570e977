"""Prepared queries answer as the querysets they were made of."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from apono_portal.core.db.prepared import insert, leave_related, prepared, prepared_update
from audit.events import EventName
from audit.models import Event
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@prepared(int, str, datetime)
def events_by(actor_id, label, since):
    return Event.objects.filter(actor_id=actor_id, actor_label=label, at__gt=since).order_by("pk")


@prepared(int)
def labels_by(actor_id):
    return Event.objects.filter(actor_id=actor_id).values_list("actor_label", flat=True)


@prepared_update(int, int)
def give_to(actor_id, other_id):
    from accessflows.models import AccessFlow

    return AccessFlow.objects.filter(version=actor_id), {"version": other_id}


def event(**changes):
    said = {"event": EventName.SESSION_SIGN_IN, "actor_id": 7, "actor_label": "Ada"}
    return Event(**(said | changes))


def test_it_answers_with_the_rows_its_values_ask_for():
    ours, other = event(metadata={"a": [1]}, address="192.0.2.1"), event(actor_id=8)
    for each in (ours, other):
        each.save()
    [found] = events_by(7, "Ada", timezone.now() - timedelta(hours=1))
    assert (found, found.metadata, found.address) == (ours, {"a": [1]}, "192.0.2.1")
    assert events_by(7, "Ada", timezone.now() + timedelta(hours=1)) == []
    assert [each.actor_id for each in events_by(8, "Ada", ours.at - timedelta(hours=1))] == [8]


def test_it_answers_with_plain_values():
    event().save()
    assert labels_by(7) == ["Ada"]
    assert labels_by.first(8) is None


def test_it_answers_with_named_values():
    @prepared(int)
    def named(actor_id):
        return Event.objects.filter(actor_id=actor_id).values_list("pk", "actor_label", named=True)

    event().save()
    [row] = named(7)
    assert (row.actor_label, row.pk) == ("Ada", Event.objects.get(actor_id=7).pk)


def test_a_list_of_values_may_be_of_any_length():
    @prepared(str, [int])
    def of_some(label, actor_ids):
        found = Event.objects.filter(actor_label=label, actor_id__in=actor_ids)
        return found.order_by("pk").values_list("actor_id", flat=True)

    for actor_id in (7, 8, 9):
        event(actor_id=actor_id).save()
    assert of_some("Ada", [8]) == [8]
    assert of_some("Ada", [9, 7]) == [7, 9]
    assert of_some("Ada", [9, 8]) == [8, 9]
    assert of_some("Bob", [7, 8]) == []


def test_a_value_the_query_changes_is_refused():
    @prepared(int)
    def doubled(number):
        return Event.objects.filter(actor_id=number * 2)

    with pytest.raises(TypeError, match="does not hand on"):
        doubled(1)


@pytest.mark.django_db(transaction=True)
def test_a_row_lock_needs_a_transaction():
    @prepared(int)
    def locked(pk):
        return Event.objects.select_for_update().filter(pk=pk)

    if connection.features.has_select_for_update:
        with pytest.raises(TransactionManagementError):
            locked(1)


def test_related_rows_are_left_on_what_they_belong_to(django_assert_num_queries):
    from requests_app.models import AccessRequest
    from tests.factories import AccessRequestFactory

    AccessRequestFactory()
    AccessRequestFactory().targets.all().delete()
    prefetched = AccessRequest.objects.prefetch_related("targets").order_by("pk")
    wanted = [list(each.targets.all()) for each in prefetched]
    found = list(AccessRequest.objects.order_by("pk"))
    leave_related(found, "targets", [row for rows in wanted for row in rows])
    with django_assert_num_queries(0):
        assert [list(each.targets.all()) for each in found] == wanted
        assert all(row.request is each for each in found for row in each.targets.all())
    assert [len(rows) for rows in wanted] == [1, 0]


def test_an_inserted_row_is_as_a_saved_one():
    saved, inserted = event(metadata={"when": timezone.now()}), event()
    inserted.metadata, inserted.at = saved.metadata, saved.at
    saved.save()
    insert(inserted)
    assert inserted.pk > saved.pk
    assert not inserted._state.adding
    one, other = (Event.objects.filter(pk=each.pk).values().get() for each in (saved, inserted))
    assert one | {"id": 0} == other | {"id": 0}


def test_an_update_says_how_many_rows_it_changed():
    from tests.factories import AccessFlowFactory

    flow = AccessFlowFactory(version=3)
    assert (give_to(3, 5), give_to(3, 6)) == (1, 0)
    flow.refresh_from_db()
    assert flow.version == 5


def test_text_in_a_value_stays_a_value():
    UserFactory()
    assert events_by(7, "' OR 1=1 --", timezone.now()) == []
