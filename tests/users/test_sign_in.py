"""Signing in and out, and lockouts."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apono_portal.users.middleware import STRANGERS, SignInLimitMiddleware
from apono_portal.users.models import PasswordFailure
from audit.models import Event
from tests.factories import PASSWORD, UserFactory

SIGN_IN = "/sign-in/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def petra():
    return UserFactory(name="Petra Person", email="petra@example.org")


def submit(client, email="petra@example.org", password=PASSWORD, *, address="127.0.0.1", **extra):
    data = {"username": email, "password": password} | extra
    return client.post(SIGN_IN, data, REMOTE_ADDR=address)


def fail(client, times, email="petra@example.org", **extra):
    for _ in range(times):
        response = client.post(SIGN_IN, {"username": email, "password": "wrong"}, **extra)
    return response


def events(name):
    return Event.objects.filter(event=f"session:{name}")


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_page_has_email_password_and_a_button(client):
    page = client.get(SIGN_IN).content.decode()
    for part in (">Email</label>", ">Password</label>", ">Sign in</button>"):
        assert part in page


def test_sign_in_is_recorded(client, petra):
    response = submit(client)
    assert response.status_code == 302
    event = events("sign_in").get()
    assert (event.actor_id, event.address) == (petra.pk, "127.0.0.1")
    assert client.session["signed_in_at"]


def test_session_gets_a_new_key(client, petra):
    session = client.session
    session["before"] = "1"
    session.save()
    before = session.session_key
    client.cookies["session"] = before
    submit(client)
    assert client.session.session_key != before


@pytest.mark.parametrize(
    "email", ["PETRA@Example.org", " petra@example.org ", "\uff30etra@example.org"]
)
def test_email_matches_in_any_spelling(client, petra, email):
    assert submit(client, email=email).status_code == 302


@pytest.mark.parametrize(
    "email", ["petra@example.org", "nobody@example.org", "", "x\x00", "x" * 300]
)
def test_failure_reads_the_same_for_any_email(client, petra, email):
    response = submit(client, email=email, password="wrong")
    assert response.status_code == 422
    assert not is_signed_in(client)


def test_failure_records_the_user_and_nothing_entered(client, petra):
    submit(client, password="wrong-one")
    submit(client, email="my-password-typed-here", password="wrong-one")
    known, unknown = events("sign_in_fail").order_by("id")
    assert known.target_id == str(petra.pk)
    assert unknown.target_id == unknown.target_label == ""
    stored = str(list(PasswordFailure.objects.values())) + str(list(Event.objects.values()))
    assert "my-password-typed-here" not in stored
    assert "wrong-one" not in stored


@pytest.mark.parametrize("data", [{}, {"username": "petra@example.org"}, {"password": "x"}])
def test_incomplete_form_is_no_attempt(client, petra, data):
    assert client.post(SIGN_IN, data).status_code == 422
    assert not Event.objects.exists()


def test_deactivated_user_cannot_sign_in(client, petra):
    petra.is_active = False
    petra.save()
    assert submit(client).status_code == 422
    assert not is_signed_in(client)


def test_after_ten_failures_the_correct_password_is_blocked(client, petra):
    assert fail(client, 10).status_code == 429
    response = submit(client)
    assert response.status_code == 429
    assert "Try again at" in response.content.decode()
    assert not is_signed_in(client)


def test_lockout_is_recorded_once(client, petra):
    fail(client, 15)
    assert events("sign_in_fail").count() == 9
    assert events("lock_out").get().target_id == str(petra.pk)


def test_blocked_attempts_do_not_extend_the_lockout(client, petra):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(client, 10)
        clock.shift(timedelta(minutes=14))
        fail(client, 3)
        clock.shift(timedelta(minutes=1, seconds=1))
        assert submit(client).status_code == 302


def test_spellings_share_one_limit(client, petra):
    for spelling in ("petra@example.org", "PETRA@example.org", "Petra@Example.Org "):
        fail(client, 4, email=spelling)
    assert submit(client).status_code == 429


def test_user_agents_share_one_limit(client, petra):
    for agent in ("one", "two", "three"):
        fail(client, 4, HTTP_USER_AGENT=agent)
    assert submit(client).status_code == 429


def test_failures_from_another_address_do_not_lock_the_owner_out(client, petra):
    fail(client, 12, REMOTE_ADDR="203.0.113.9")
    assert submit(client).status_code == 302


def sign_in_from(client, network, times, email="petra@example.org"):
    """Try wrong passwords, each from another address of a network; return the statuses."""
    addresses = (network.format(number) for number in range(times))
    wrong = {"username": email, "password": "wrong"}
    return [client.post(SIGN_IN, wrong, REMOTE_ADDR=address).status_code for address in addresses]


def test_addresses_of_one_ipv6_network_share_one_limit(client, petra):
    statuses = sign_in_from(client, "2001:db8:0:1::{:x}", 40)
    assert statuses.count(422) == 9
    assert submit(client, address="2001:db8:0:1:ffff::1").status_code == 429
    assert submit(client, address="2001:db8:0:2::1").status_code == 302


def test_names_made_up_from_one_network_share_one_limit(client):
    answers = [
        submit(client, f"{number}@example.org", "wrong", address=f"2001:db8::{number:x}")
        for number in range(40)
    ]
    assert [answer.status_code for answer in answers] == [422] * 29 + [429] * 11
    assert PasswordFailure.objects.count() == 30
    assert events("lock_out").get().target_id == ""


def test_strangers_everywhere_are_slowed_down_and_the_owners_browser_is_not(petra):
    owner, strangers = Client(), Client()
    assert submit(owner, address="203.0.113.1").status_code == 302
    statuses = sign_in_from(strangers, "198.51.100.{}", 40)
    assert statuses == [422] * 29 + [429] * 11
    assert submit(Client(), address="192.0.2.1").status_code == 429
    owner.post("/sign-out/")
    assert submit(owner, address="192.0.2.1").status_code == 302


def test_a_locked_out_address_does_not_lock_the_owners_browser_out(petra):
    """Not even one that a thief shares with the owner."""
    owner = Client()
    submit(owner)
    owner.post("/sign-out/")
    assert fail(Client(), 10).status_code == 429
    assert submit(Client()).status_code == 429
    assert submit(owner).status_code == 302


def test_the_owners_browser_has_a_limit_of_its_own(petra):
    owner = Client()
    submit(owner)
    owner.post("/sign-out/")
    assert fail(owner, 10).status_code == 429
    assert submit(owner).status_code == 429
    assert submit(Client()).status_code == 302


def test_a_cookie_from_before_a_password_change_is_a_strangers(petra):
    thief = Client()
    submit(thief)
    thief.post("/sign-out/")
    petra.set_password("another-horse-battery-staple")
    petra.save()
    fail(thief, 1)
    assert PasswordFailure.objects.get().browser == ""


def test_a_cookie_of_another_account_is_a_strangers(petra):
    thief = Client()
    submit(thief, UserFactory().email)
    thief.post("/sign-out/")
    fail(thief, 1)
    assert PasswordFailure.objects.get().browser == ""


def test_success_resets_the_account_and_nothing_else(client, petra):
    other = UserFactory()
    fail(client, 5)
    fail(client, 5, email=other.email)
    submit(client)
    assert PasswordFailure.objects.count() == 5


def test_failures_are_deleted_after_the_period(client, petra):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(client, 5)
        clock.shift(timedelta(minutes=16))
        fail(client, 1)
    assert PasswordFailure.objects.count() == 1


def test_blocked_attempts_are_refused_before_anything_is_hashed(client, petra, monkeypatch):
    fail(client, 10)
    monkeypatch.setattr("django.contrib.auth.backends.ModelBackend.authenticate", None)
    with CaptureQueriesContext(connection) as queries:
        response = submit(client)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
    assert response.status_code == 429
    assert 890 <= int(response.headers["Retry-After"]) <= 900


def test_a_process_that_compares_enough_passwords_refuses_more(client, petra):
    with STRANGERS.slot(), STRANGERS._admitted:
        response = submit(client)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "Sign-in is busy" in response.content.decode()
    assert not PasswordFailure.objects.exists()
    assert submit(client).status_code == 302


class SlowSender:
    """A body during whose arrival somebody else signs in."""

    def __init__(self):
        self.was_read = False

    def read(self, *args):
        self.was_read = True
        with STRANGERS.slot():
            return b""

    def close(self):
        pass


def test_a_slow_sender_holds_no_slot():
    sender = SlowSender()
    request = RequestFactory().post(SIGN_IN)
    request._stream = sender
    SignInLimitMiddleware(lambda request: HttpResponse())(request)
    assert sender.was_read


def test_the_owners_browser_does_not_wait_behind_strangers(petra):
    owner = Client()
    submit(owner)
    owner.post("/sign-out/")
    with STRANGERS.slot(), STRANGERS._admitted:
        assert submit(owner).status_code == 302


def test_parameters_are_those_for_a_web_server(settings):
    settings.PASSWORD_HASHERS = ["apono_portal.users.hashers.PasswordHasher"]
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in make_password("correct-horse")


def test_a_password_with_other_parameters_is_hashed_again_at_sign_in(client, petra, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    petra.set_password(PASSWORD)
    petra.save()
    assert "m=102400" in petra.password
    settings.PASSWORD_HASHERS = ["apono_portal.users.hashers.PasswordHasher"]
    assert submit(client).status_code == 302
    petra.refresh_from_db()
    assert "m=19456,t=2,p=1" in petra.password
    client.post("/sign-out/")
    fail(client, 1)
    assert PasswordFailure.objects.get().browser != ""  # the cookie is about the new hash


def test_forged_addresses_share_one_limit(client, petra):
    for n in range(12):
        fail(client, 1, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}")
    assert submit(client).status_code == 429


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("/requests/new/", "/requests/new/"),
        ("/access-flows/?q=x", "/access-flows/?q=x"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/sign-in/?next=/x", "/"),
    ],
)
def test_next_stays_within_the_portal(client, petra, url, location):
    assert submit(client, next=url).headers["Location"] == location


def test_signed_in_user_is_redirected(member_client):
    assert member_client.get(SIGN_IN).headers["Location"] == "/"
    assert member_client.get(SIGN_IN, {"next": SIGN_IN}).headers["Location"] == "/"


def test_signing_out_ends_the_session_and_is_recorded(member_client):
    response = member_client.post("/sign-out/")
    assert response.headers["Location"] == SIGN_IN
    assert not is_signed_in(member_client)
    assert events("sign_out").exists()


def test_get_does_not_sign_out(member_client):
    assert member_client.get("/sign-out/").status_code == 405
    assert is_signed_in(member_client)


def test_sign_in_needs_a_csrf_token(petra):
    client = Client(enforce_csrf_checks=True)
    assert submit(client).status_code == 403


@pytest.mark.parametrize("value", ["dark", "light"])
def test_theme_is_remembered(client, value):
    response = client.post("/theme/", {"theme": value, "next": "/sign-in/"})
    assert response.headers["Location"] == "/sign-in/"
    assert response.cookies["theme"].value == value
    assert f'data-theme="{value}"' in client.get(SIGN_IN).content.decode()


@pytest.mark.parametrize("value", ["system", "", '"><script>'])
def test_other_themes_follow_the_system(client, value):
    response = client.post("/theme/", {"theme": value, "next": "//evil.example/"})
    assert response.headers["Location"] == "/"
    assert response.cookies["theme"].value == ""
