"""Signing out at the provider, and being signed out by it."""

import re
import time
import uuid
from html import unescape
from typing import Any

import pytest
import requests
from bs4 import BeautifulSoup
from django.contrib.sessions.models import Session
from django.test import Client

from apono_portal.sso.logout_tokens import EVENT
from apono_portal.sso.models import ProviderSession
from apono_portal.users.models import User
from audit.models import Event
from tests.factories import AuthenticatorFactory, code_for
from tests.fixtures.sso import query_of
from tests.sso.conftest import is_signed_in


@pytest.fixture
def token(directory):
    """``token(**claims)`` is a logout token of the provider, right but for what is given."""

    def sign(*, kid=None, forged=False, none=False, header=None, leave_out=(), **claims):
        complete = {
            "iss": directory.issuer(),
            "aud": "portal",
            "iat": int(time.time()),
            "exp": int(time.time()) + 120,
            "jti": str(uuid.uuid4()),
            "sub": "hannah",
            "events": {EVENT: {}},
        } | claims
        sent = {name: value for name, value in complete.items() if name not in leave_out}
        options = {"kid": kid, "forged": forged, "none": none, "header": header}
        return directory.call("sign", issuer="one", claims=sent, **options)

    return sign


def post(text: str):
    return Client().post("/sso/one/back-channel-logout/", {"logout_token": text})


def test_signing_out_offers_the_provider_and_comes_back(client, come_back, directory):
    browser = requests.Session()
    come_back(client, at=browser)
    page = client.post("/sign-out/").content.decode()
    assert not is_signed_in(client)
    url = unescape(re.search(r'href="([^"]+session/end[^"]+)"', page).group(1))
    assert {"id_token_hint", "state", "client_id"} <= query_of(url).keys()
    form = BeautifulSoup(browser.get(url, timeout=5).text, "html.parser").find("form")
    fields = {field["name"]: field.get("value", "") for field in form.find_all("input")}
    confirmed = browser.post(
        form["action"], fields | {"logout": "yes"}, allow_redirects=False, timeout=5
    )
    back = confirmed.headers["Location"].removeprefix("http://localhost")
    page = client.get(back, follow=True).content.decode()
    assert "You are signed out here and at Okta." in page
    assert "signed out here" not in Client().get(back, follow=True).content.decode()


def test_signing_out_works_while_the_provider_is_down(client, come_back, provider):
    come_back(client)
    provider.issuer, provider.version = "http://127.0.0.1:1", 9
    provider.save()
    assert client.post("/sign-out/").headers["Location"] == "/sign-in/"
    assert not is_signed_in(client)


def test_a_logout_at_the_provider_ends_exactly_that_session(come_back, directory):
    first, second = Client(), Client()
    directory.call("tokens", issuer="one")  # of earlier tests
    browser = requests.Session()
    come_back(first, at=browser)
    come_back(second)
    form = browser.get(f"{directory.issuer()}/session/end", timeout=5).text
    soup = BeautifulSoup(form, "html.parser").find("form")
    fields = {field["name"]: field.get("value", "") for field in soup.find_all("input")}
    browser.post(soup["action"], fields | {"logout": "yes"}, timeout=5)
    [text] = directory.call("tokens", issuer="one")
    assert post(text).status_code == 200
    assert not is_signed_in(first)
    assert is_signed_in(second)
    assert Event.objects.get(event="session:end").actor_label == "Okta"
    assert post(text).json()["error"] == "invalid_request"  # used before


def test_a_session_whose_key_changed_is_found(client, come_back, directory, token):
    come_back(client)
    authenticator = AuthenticatorFactory(user=User.objects.get())
    client.post("/account/step-up/", {"code": code_for(authenticator)})
    row = ProviderSession.objects.get()
    assert Session.objects.filter(session_key=row.session_hash).exists()
    assert post(token(sid=row.sid)).status_code == 200
    assert not is_signed_in(client)


def test_a_token_with_a_subject_alone_ends_all_of_that_person(come_back, token):
    mine, mine_too, others = Client(), Client(), Client()
    come_back(mine)
    come_back(mine_too)
    come_back(others, "petra")
    response = post(token())
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    assert [is_signed_in(client) for client in (mine, mine_too, others)] == [False, False, True]


def test_a_token_for_a_session_that_is_gone_is_accepted(client, come_back, token):
    come_back(client)
    client.post("/sign-out/")
    assert post(token()).status_code == 200


FAULTS: list[dict[str, Any]] = [
    {"forged": True},
    {"none": True},
    {"kid": "unknown"},
    {"iss": "https://evil.example"},
    {"aud": "another"},
    {"leave_out": ["iat"]},
    {"iat": 1_600_000_000},
    {"iat": 4_000_000_000},
    {"exp": 1_600_000_000},
    {"leave_out": ["jti"]},
    {"jti": ""},
    {"leave_out": ["events"]},
    {"events": {"http://schemas.openid.net/event/other": {}}},
    {"events": [EVENT]},
    {"nonce": "n"},
    {"leave_out": ["sub"]},
    {"sub": ["hannah"]},
]


def test_a_token_with_a_fault_ends_nothing(client, come_back, token):
    come_back(client)
    answers = [(fault, post(token(**fault))) for fault in FAULTS]
    accepted = [fault for fault, answer in answers if answer.status_code != 400]
    assert accepted == []
    assert {answer.json()["error"] for _, answer in answers} == {"invalid_request"}
    assert is_signed_in(client)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "x" * 30_000, "\0", "[]"])
def test_what_is_no_token_is_refused(provider, text):
    assert post(text).status_code == 400


def test_a_logout_token_is_no_sign_in_and_an_id_token_no_logout(client, come_back, directory):
    come_back(client)
    assert post(ProviderSession.objects.get().id_token).status_code == 400
    assert is_signed_in(client)
