"""Two tabs, ended sessions and old pages: a page that helps, and no words lost or shown to another."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from requests_app.models import AccessRequest
from tests.factories import PASSWORD, AccessFlowFactory, AuthenticatorFactory, UserFactory

WORDS = "Backfill carrier_id on 312 orders, OPS-4821"
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
KEPT = re.compile(r'name="kept_form" value="([^"]+)"')


@pytest.fixture
def petra(db):
    return UserFactory(name="Petra Person", email="petra@example.org")


@pytest.fixture
def target(petra):
    flow = AccessFlowFactory(requester_users=[petra], targets=1)
    return flow.targets.get()


def sign_in(client, user):
    page = client.get("/sign-in/")
    data = {"username": user.email, "password": PASSWORD}
    if client.handler.enforce_csrf_checks:
        data["csrfmiddlewaretoken"] = CSRF.search(page.content.decode())[1]
    assert client.post("/sign-in/", data).status_code == 302
    return client


def page_of(target):
    return f"/requests/new/?target={target.pk}&duration=1h&step=review"


def filled_form(client, target, **changes):
    """Open the review page of New Request and fill it in."""
    page = client.get(page_of(target)).content.decode()
    data = {"target": target.pk, "duration": "1h", "justification": WORDS, "password": "secret"}
    return data | {"kept_form": KEPT.search(page)[1]} | changes


def next_of(response):
    return parse_qs(urlsplit(response.headers["Location"]).query)["next"][0]


def test_words_sent_after_the_session_ended_are_in_the_form_after_signing_in(petra, target):
    client = sign_in(Client(), petra)
    form = filled_form(client, target)
    client.post("/sign-out/")
    answer = client.post("/requests/new/", form)
    assert next_of(answer) == page_of(target)
    assert "What you typed is kept" in client.get("/sign-in/").content.decode()
    sign_in(client, petra)
    page = client.get(next_of(answer)).content.decode()
    assert WORDS in page
    assert "Check it, then send the form again" in page
    assert not AccessRequest.objects.exists()


def test_only_words_are_kept(petra, target):
    client = sign_in(Client(), petra)
    form = filled_form(client, target, code="123456")
    client.post("/sign-out/")
    client.post("/requests/new/", form)
    kept = client.session["kept_form"]
    assert kept["words"] == {"justification": WORDS}
    assert "secret" not in str(dict(client.session))
    assert "123456" not in str(dict(client.session))


def test_another_user_never_sees_them(petra, target):
    client = sign_in(Client(), petra)
    form = filled_form(client, target)
    client.post("/sign-out/")
    client.post("/requests/new/", form)
    sign_in(client, UserFactory())
    assert WORDS not in client.get(page_of(target)).content.decode()
    assert "kept_form" not in client.session


def test_words_of_another_user_are_not_kept_in_a_session(petra, target):
    """A form of one user, sent from another's browser, such as by a hostile page."""
    theirs = filled_form(sign_in(Client(), petra), target)
    victim = Client(enforce_csrf_checks=True)
    sign_in(victim, UserFactory())
    victim.post("/requests/new/", theirs, headers={"origin": "http://testserver"})
    assert "kept_form" not in victim.session


@pytest.mark.parametrize("field", ["", "x", "WzEsICIvIl0:x:y"])
def test_a_form_without_a_valid_field_keeps_nothing(petra, client, field):
    client.post("/requests/new/", {"justification": WORDS, "kept_form": field})
    assert "session" not in client.cookies


def test_a_foreign_page_makes_no_session(petra, target):
    form = filled_form(sign_in(Client(), petra), target)
    stranger = Client(enforce_csrf_checks=True)
    answer = stranger.post("/requests/new/", form, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "session" not in stranger.cookies


def test_words_are_forgotten_after_a_quarter_of_an_hour_and_once_sent(petra, target):
    client = sign_in(Client(), petra)
    form = filled_form(client, target)
    client.post("/sign-out/")
    client.post("/requests/new/", form)
    sign_in(client, petra)
    with time_machine.travel(timezone.now() + timezone.timedelta(minutes=15, seconds=1)):
        assert WORDS not in client.get(page_of(target)).content.decode()
    assert client.post("/requests/new/", form).status_code == 302
    assert "kept_form" not in client.session
    assert AccessRequest.objects.get().justification == WORDS


def test_form_of_before_a_second_sign_in_leads_back_to_its_words(petra, target):
    client = Client(enforce_csrf_checks=True)
    sign_in(client, petra)
    form = filled_form(client, target)
    form["csrfmiddlewaretoken"] = CSRF.search(client.get(page_of(target)).content.decode())[1]
    token = CSRF.search(client.get("/").content.decode())[1]
    client.post("/sign-out/", {"csrfmiddlewaretoken": token})
    sign_in(client, petra)
    answer = client.post("/requests/new/", form, headers={"origin": "http://testserver"})
    assert answer.status_code == 403
    assert "What you typed is kept" in answer.content.decode()
    assert WORDS in client.get(page_of(target)).content.decode()


def test_sign_in_form_of_a_second_tab_says_that_one_is_signed_in(petra):
    client = Client(enforce_csrf_checks=True)
    client.get("/sign-in/")
    sign_in(client, petra)
    answer = client.post("/sign-in/?next=/requests/", {"username": petra.email, "password": "x"})
    page = answer.content.decode()
    assert answer.status_code == 403
    assert "You are signed in" in page
    assert 'href="/requests/"' in page


def test_sign_in_from_another_site_signs_nobody_in(petra):
    client = Client(enforce_csrf_checks=True)
    data = {"username": petra.email, "password": PASSWORD}
    answer = client.post("/sign-in/", data, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert "_auth_user_id" not in client.session
    assert 'href="/sign-in/"' in answer.content.decode()


def test_form_after_signing_out_in_another_tab_leads_back_to_its_page(petra):
    client = sign_in(Client(), petra)
    client.post("/sign-out/")
    referer = {"referer": "http://testserver/account/security/"}
    answer = client.post("/account/devices/sign-out-others/", headers=referer)
    assert next_of(answer) == "/account/security/"


def test_reason_typed_with_a_closed_window_is_in_the_form_after_verifying(petra, signed_in):
    admin = UserFactory(admin=True)
    for user in (admin, petra):
        AuthenticatorFactory(user=user)
    client = signed_in(admin)
    request = client.get("/sign-in/").wsgi_request
    request.path = request.path_info = f"/users/{petra.pk}/reset-mfa/"
    from apono_portal.core.web.kept_forms import keep_form

    field = KEPT.search(keep_form({"request": request}))[1]
    data = {"reason": "Lost phone", "kept_form": field}
    answer = client.post(f"/users/{petra.pk}/reset-mfa/", data)
    assert next_of(answer) == f"/users/{petra.pk}/reset-mfa/"
    assert client.session["kept_form"]["words"] == {"reason": "Lost phone"}
