"""A sign-in from a new browser is told by mail; the cookie that decides it opens nothing."""

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from audit.outbox.deliveries import deliver_due
from tests.factories import PASSWORD, UserFactory


@pytest.fixture
def clock():
    with time_machine.travel(1_800_000_000, tick=False) as travel:
        yield travel


@pytest.fixture
def person(clock, db):
    return UserFactory(email="petra@example.org")


def sign_in(browser: Client, person) -> Client:
    answer = browser.post("/sign-in/", {"username": person.email, "password": PASSWORD})
    assert answer.status_code == 302
    return browser


def told() -> list[str]:
    deliver_due(timezone.now())
    return [message.to[0] for message in mail.outbox]


def test_the_very_first_sign_in_is_not_told(person):
    sign_in(Client(), person)
    assert told() == []


def test_the_same_browser_again_is_not_told(person):
    browser = sign_in(Client(), person)
    browser.post("/sign-out/")
    sign_in(browser, person)
    assert told() == []


def test_another_browser_is_told(clock, person):
    sign_in(Client(), person)
    clock.shift(900)
    sign_in(Client(headers={"user-agent": "Stranger/1.0"}), person)
    assert told() == [person.email]
    assert "Stranger/1.0" in mail.outbox[0].body


@pytest.mark.parametrize("forged", ["", "x", "1:1:1", "é"])
def test_a_forged_cookie_is_a_new_browser(clock, person, forged):
    sign_in(Client(), person)
    clock.shift(900)
    browser = Client()
    browser.cookies[f"seen-browser-{person.pk}"] = forged
    sign_in(browser, person)
    assert told() == [person.email]


def test_somebody_elses_cookie_is_a_new_browser(clock, person):
    sign_in(Client(), person)
    clock.shift(900)
    other = UserFactory()
    browser = sign_in(Client(), other)
    browser.cookies[f"seen-browser-{person.pk}"] = browser.cookies[f"seen-browser-{other.pk}"].value
    browser.post("/sign-out/")
    sign_in(browser, person)
    assert told() == [person.email]


def test_the_cookie_alone_signs_nobody_in(person):
    browser = sign_in(Client(), person)
    del browser.cookies["session"]
    assert browser.get("/").headers["Location"].startswith("/sign-in/")


def test_many_new_browsers_at_once_are_told_once(clock, person):
    """Whoever has the password must not bury the mail under others."""
    sign_in(Client(), person)
    clock.shift(900)
    for _ in range(5):
        sign_in(Client(), person)
    assert told() == [person.email]
    clock.shift(900)
    sign_in(Client(), person)
    assert told() == [person.email] * 2
