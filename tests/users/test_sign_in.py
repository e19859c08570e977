"""Signing in and out, and being held off."""

from datetime import timedelta

import pytest
import time_machine
from axes.models import AccessAttempt
from django.utils import timezone

from audit.models import Event
from tests.factories import PASSWORD, UserFactory

SIGN_IN = "/sign-in/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def petra():
    return UserFactory(name="Petra Person", email="petra@example.org")


def enter(client, email="petra@example.org", password=PASSWORD, **more):
    return client.post(SIGN_IN, {"username": email, "password": password} | more)


def fail(client, times, email="petra@example.org", **extra):
    for _ in range(times):
        answer = client.post(SIGN_IN, {"username": email, "password": "wrong"}, **extra)
    return answer


def events(name):
    return Event.objects.filter(event=f"session:{name}")


def is_signed_in(client):
    return "_auth_user_id" in client.session


def test_labels_are_as_people_know_them(client):
    page = client.get(SIGN_IN).content.decode()
    for part in (">Email</label>", ">Password</label>", ">Sign in</button>"):
        assert part in page


def test_a_person_signs_in_and_it_is_recorded(client, petra):
    answer = enter(client)
    assert answer.status_code == 302
    event = events("sign_in").get()
    assert (event.actor_id, event.address) == (petra.pk, "127.0.0.1")
    assert client.session["signed_in_at"]


def test_the_session_gets_a_new_key(client, petra):
    session = client.session
    session["before"] = "1"
    session.save()
    before = session.session_key
    client.cookies["session"] = before
    enter(client)
    assert client.session.session_key != before


@pytest.mark.parametrize(
    "email", ["PETRA@Example.org", " petra@example.org ", "\uff30etra@example.org"]
)
def test_an_address_is_known_in_any_spelling(client, petra, email):
    assert enter(client, email=email).status_code == 302


@pytest.mark.parametrize(
    "email", ["petra@example.org", "nobody@example.org", "", "x\x00", "x" * 300]
)
def test_a_failure_says_the_same_whoever_it_is(client, petra, email):
    answer = enter(client, email=email, password="wrong")
    assert answer.status_code == 422
    assert not is_signed_in(client)


def test_a_failure_names_a_known_person_and_keeps_no_text(client, petra):
    enter(client, password="wrong-one")
    enter(client, email="my-password-typed-here", password="wrong-one")
    known, unknown = events("sign_in_fail").order_by("id")
    assert known.target_id == str(petra.pk)
    assert unknown.target_id == unknown.target_label == ""
    kept = str(list(AccessAttempt.objects.values())) + str(list(Event.objects.values()))
    assert "my-password-typed-here" not in kept
    assert "wrong-one" not in kept


@pytest.mark.parametrize("said", [{}, {"username": "petra@example.org"}, {"password": "x"}])
def test_half_a_form_is_no_try(client, petra, said):
    assert client.post(SIGN_IN, said).status_code == 422
    assert not Event.objects.exists()


def test_a_deactivated_person_does_not_get_in(client, petra):
    petra.is_active = False
    petra.save()
    assert enter(client).status_code == 422
    assert not is_signed_in(client)


def test_after_ten_failures_the_right_password_is_held_off(client, petra):
    assert fail(client, 10).status_code == 429
    answer = enter(client)
    assert answer.status_code == 429
    assert "Attempt again at" in answer.content.decode()
    assert not is_signed_in(client)


def test_being_held_off_is_recorded_once(client, petra):
    fail(client, 15)
    assert events("sign_in_fail").count() == 9
    assert events("lock").get().target_id == str(petra.pk)


def test_blocked_tries_do_not_extend_the_block(client, petra):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        fail(client, 10)
        clock.shift(timedelta(minutes=14))
        fail(client, 3)
        clock.shift(timedelta(minutes=1, seconds=1))
        assert enter(client).status_code == 302


def test_another_spelling_has_no_tries_of_its_own(client, petra):
    for spelling in ("petra@example.org", "PETRA@example.org", "Petra@Example.Org "):
        fail(client, 4, email=spelling)
    assert enter(client).status_code == 429


def test_another_browser_string_has_no_tries_of_its_own(client, petra):
    for agent in ("one", "two", "three"):
        fail(client, 4, HTTP_USER_AGENT=agent)
    assert enter(client).status_code == 429


def test_a_stranger_elsewhere_does_not_lock_the_owner_out(client, petra):
    fail(client, 12, REMOTE_ADDR="203.0.113.9")
    assert enter(client).status_code == 302


def test_forged_addresses_give_no_further_tries(client, petra):
    for n in range(12):
        fail(client, 1, HTTP_X_FORWARDED_FOR=f"198.51.100.{n}")
    assert enter(client).status_code == 429


@pytest.mark.parametrize(
    ("wanted", "led_to"),
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
def test_next_leads_only_within_the_portal(client, petra, wanted, led_to):
    assert enter(client, next=wanted).headers["Location"] == led_to


def test_who_is_signed_in_is_not_asked_again(member_client):
    assert member_client.get(SIGN_IN).headers["Location"] == "/"
    assert member_client.get(SIGN_IN, {"next": SIGN_IN}).headers["Location"] == "/"


def test_signing_out_ends_the_session_and_is_recorded(member_client):
    answer = member_client.post("/sign-out/")
    assert answer.headers["Location"] == SIGN_IN
    assert not is_signed_in(member_client)
    assert events("sign_out").exists()


def test_looking_does_not_sign_out(member_client):
    assert member_client.get("/sign-out/").status_code == 405
    assert is_signed_in(member_client)


def test_sign_in_needs_its_own_form(petra):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    assert enter(client).status_code == 403


@pytest.mark.parametrize("chosen", ["dark", "light"])
def test_a_theme_is_remembered(client, chosen):
    answer = client.post("/theme/", {"theme": chosen, "next": "/sign-in/"})
    assert answer.headers["Location"] == "/sign-in/"
    assert answer.cookies["theme"].value == chosen
    assert f'data-theme="{chosen}"' in client.get(SIGN_IN).content.decode()


@pytest.mark.parametrize("chosen", ["system", "", '"><script>'])
def test_anything_else_follows_the_system(client, chosen):
    answer = client.post("/theme/", {"theme": chosen, "next": "//evil.example/"})
    assert answer.headers["Location"] == "/"
    assert answer.cookies["theme"].value == ""
