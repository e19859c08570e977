"""A session ends an hour after the last request, and twelve hours after the sign-in in any case."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mfa.verification.window import SESSION_KEY
from tests.factories import PASSWORD, UserFactory

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock(db):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        yield clock


@pytest.fixture
def browser(clock, client):
    data = {"username": UserFactory().email, "password": PASSWORD}
    assert client.post("/sign-in/", data).status_code == 302
    return client


def is_signed_in(browser, **headers):
    return browser.get("/requests/", headers=headers).status_code == 200


def test_an_idle_session_ends_after_an_hour(clock, browser):
    clock.shift(59 * MINUTE)
    assert is_signed_in(browser)
    clock.shift(59 * MINUTE)
    assert is_signed_in(browser)
    clock.shift(60 * MINUTE)
    assert not is_signed_in(browser)


def test_a_page_that_polls_does_not_keep_a_session_alive(clock, browser):
    for _ in range(3):
        clock.shift(20 * MINUTE - timedelta(seconds=1))
        assert is_signed_in(browser, x_poll="1")
    clock.shift(MINUTE)
    assert not is_signed_in(browser)


def test_activity_does_not_prolong_a_session_beyond_twelve_hours(clock, browser):
    for _ in range(23):
        clock.shift(30 * MINUTE)
        assert is_signed_in(browser)
    clock.shift(30 * MINUTE)
    assert not is_signed_in(browser)


def test_saving_does_not_prolong_a_session_beyond_twelve_hours(clock, browser):
    for _ in range(12):
        clock.shift(59 * MINUTE)
        session = browser.session
        session["something"] = "new"
        session.save()
        assert is_signed_in(browser)
    clock.shift(12 * MINUTE)
    assert not is_signed_in(browser)


def test_a_new_sign_in_counts_from_then(clock, browser):
    for _ in range(10):
        clock.shift(59 * MINUTE)
        is_signed_in(browser)
    browser.post("/sign-out/")
    browser.post("/sign-in/", {"username": UserFactory().email, "password": PASSWORD})
    for _ in range(11):
        clock.shift(59 * MINUTE)
        assert is_signed_in(browser)


def test_the_timeout_is_written_at_most_once_a_minute(clock, browser):
    def writes():
        with CaptureQueriesContext(connection) as queries:
            browser.get("/requests/")
        return [query for query in queries if query["sql"].startswith('UPDATE "django_session"')]

    assert writes() == []
    clock.shift(61 * timedelta(seconds=1))
    assert len(writes()) == 1
    assert writes() == []


def test_postponing_the_timeout_brings_no_closed_window_back(clock, verified):
    """A request that began before the window was removed ends after it, even under the same key."""
    browser = verified(UserFactory())
    slow, other = browser.session, browser.session
    assert SESSION_KEY in slow
    del other[SESSION_KEY]
    other.save()
    clock.shift(5 * MINUTE)
    slow.postpone_idle_timeout()
    assert SESSION_KEY not in browser.session
    assert Session.objects.get().expire_date == timezone.now() + 60 * MINUTE
