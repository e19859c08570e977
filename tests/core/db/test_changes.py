"""Commits of other connections are detected, and nothing else is."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from apono_portal.core.db.changes import ChangeDetector
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def changes():
    detector = ChangeDetector()
    detector.reset()
    return detector


def in_another_connection(do) -> None:
    def run() -> None:
        try:
            do()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()


def test_commit_is_detected_until_reset(changes):
    in_another_connection(UserFactory)
    assert changes.has_changes()
    assert changes.has_changes()


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="Tests share a server, whose commits count"
)
def test_reading_is_no_change(changes):
    in_another_connection(lambda: list(UserFactory._meta.model.objects.all()))
    assert not changes.has_changes()
    in_another_connection(UserFactory)
    changes.reset()
    assert not changes.has_changes()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_commit_that_began_before_the_reset_is_detected(changes):
    with transaction.atomic():
        UserFactory()
        other = ChangeDetector()
        in_another_connection(other.reset)
    assert other.has_changes()


def test_everything_counts_as_changed_on_a_new_connection(changes):
    connection.close()
    assert changes.has_changes()
