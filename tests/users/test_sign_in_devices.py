"""A sign-in from a new browser is announced by email; the cookie behind that grants nothing."""

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
def user(clock, db):
    return UserFactory(email="petra@example.org")


def sign_in(browser: Client, user) -> Client:
    response = browser.post("/sign-in/", {"username": user.email, "password": PASSWORD})
    assert response.status_code == 302
    return browser


def emailed() -> list[str]:
    deliver_due(timezone.now())
    return [message.to[0] for message in mail.outbox]


def test_first_sign_in_sends_no_email(user):
    sign_in(Client(), user)
    assert emailed() == []


def test_familiar_browser_sends_no_email(user):
    browser = sign_in(Client(), user)
    browser.post("/sign-out/")
    sign_in(browser, user)
    assert emailed() == []


def test_new_browser_sends_an_email(clock, user):
    sign_in(Client(), user)
    clock.shift(900)
    sign_in(Client(headers={"user-agent": "Stranger/1.0"}), user)
    assert emailed() == [user.email]
    assert "Stranger/1.0" in mail.outbox[0].body


@pytest.mark.parametrize("forged", ["", "x", "1:1:1", "é"])
def test_forged_cookie_is_a_new_browser(clock, user, forged):
    sign_in(Client(), user)
    clock.shift(900)
    browser = Client()
    browser.cookies[f"sign-in-device-{user.pk}"] = forged
    sign_in(browser, user)
    assert emailed() == [user.email]


def test_cookie_of_another_user_is_a_new_browser(clock, user):
    sign_in(Client(), user)
    clock.shift(900)
    other = UserFactory()
    browser = sign_in(Client(), other)
    browser.cookies[f"sign-in-device-{user.pk}"] = browser.cookies[
        f"sign-in-device-{other.pk}"
    ].value
    browser.post("/sign-out/")
    sign_in(browser, user)
    assert emailed() == [user.email]


def test_cookie_alone_signs_nobody_in(user):
    browser = sign_in(Client(), user)
    del browser.cookies["session"]
    assert browser.get("/").headers["Location"].startswith("/sign-in/")


def test_many_new_browsers_at_once_send_one_email(clock, user):
    """Whoever has the password must not bury the email under others."""
    sign_in(Client(), user)
    clock.shift(900)
    for _ in range(5):
        sign_in(Client(), user)
    assert emailed() == [user.email]
    clock.shift(900)
    sign_in(Client(), user)
    assert emailed() == [user.email] * 2
