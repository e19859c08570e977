"""Signing in through a provider: who gets in, as whom, and what is recorded."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests
from django.test import Client

from apono_portal.sso.models import ExternalIdentity, ProviderSession
from apono_portal.users.models import User
from audit.models import Event
from tests.factories import PASSWORD, GroupFactory, IdentityProviderFactory, UserFactory
from tests.fixtures.sso import query_of
from tests.sso.conftest import is_signed_in


@contextmanager
def answering(content: str) -> Iterator[str]:
    """A server that answers everything with this text, in which BASE is its own address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            address = f"http://127.0.0.1:{self.server.server_address[1]}"
            self.wfile.write(content.replace("BASE", address).encode())

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def page_of(response) -> str:
    return response.content.decode()


def test_sign_in_sends_state_nonce_and_pkce(client, provider):
    query = query_of(client.get("/sso/one/").headers["Location"])
    assert query["code_challenge_method"] == "S256"
    assert min(len(query[name]) for name in ("state", "nonce", "code_challenge")) >= 20
    assert query["redirect_uri"] == provider.redirect_address


def test_first_sign_in_creates_an_account_and_is_recorded(client, come_back, provider):
    response = come_back(client, query="?next=/requests/")
    assert response.headers["Location"] == "/requests/"
    user = User.objects.get(email="hannah@halden.example")
    assert (user.name, user.role, user.has_usable_password()) == ("Hannah Fischer", "member", False)
    assert ExternalIdentity.objects.get().subject == "hannah"
    event = Event.objects.get(event="session:sign_in")
    assert (event.actor_id, event.metadata["provider"]) == (user.pk, "Okta")
    assert is_signed_in(client)


def test_the_next_sign_in_matches_by_subject_and_not_by_email(client, come_back):
    come_back(client)
    come_back(Client(), email="renamed@halden.example")
    assert User.objects.get().email == "hannah@halden.example"


def test_a_sign_in_gets_a_new_session_key(client, come_back, provider):
    client.get("/sso/one/")
    before = client.session.session_key
    come_back(client)
    assert client.session.session_key != before


def test_two_tabs_sign_in_at_once(client, directory, provider):
    directory.person()
    urls = [client.get("/sso/one/").headers["Location"] for _ in range(2)]
    browser = requests.Session()
    answers = [client.get(directory.visit(url, browser)) for url in urls]
    assert [answer.headers.get("Location") for answer in answers] == ["/", "/"]
    assert ProviderSession.objects.count() == 1


def test_an_answer_counts_once(client, directory, provider):
    directory.person()
    back = directory.visit(client.get("/sso/one/").headers["Location"])
    assert client.get(back).status_code == 302
    again = client.get(back)
    assert again.status_code == 400
    assert "Start again" in page_of(again)


def test_a_deactivated_user_stays_out(client, come_back):
    come_back(client)
    User.objects.update(is_active=False)
    response = come_back(Client())
    assert response.status_code == 403
    assert "deactivated" in page_of(response)


def test_no_account_where_the_domain_creates_none(client, come_back, provider):
    provider.domains.update(creates_users=False)
    assert come_back(client).status_code == 403
    assert not User.objects.exists()
    assert Event.objects.get(event="provider:refuse").metadata["reason"].startswith("You don't")


def test_refused_at_the_provider(client, come_back):
    response = come_back(client, error="access_denied")
    assert response.status_code == 403
    assert "access_denied" in page_of(response)
    assert "The person said no" not in page_of(response)


def test_another_class_than_demanded_is_refused_and_a_fresh_one_offered(
    client, come_back, provider
):
    provider.accepted_acr = ["high"]
    provider.save()
    browser = requests.Session()
    response = come_back(client, acr="low", at=browser)
    assert response.status_code == 403
    assert "/sso/one/?fresh=1" in page_of(response)
    assert come_back(client, acr="high", at=browser, query="?fresh=1").status_code == 302


def test_a_stale_sign_in_is_not_a_fresh_one(client, come_back):
    response = come_back(client, query="?fresh=1", ts=int(time.time()) - 400)
    assert response.status_code == 403
    assert come_back(client, query="?fresh=1").status_code == 302


def test_only_a_recent_proof_lets_a_user_add_a_method(client, come_back):
    come_back(client, ts=int(time.time()) - 3600)
    response = client.post("/account/security/authenticator/")
    page = page_of(client.get(response.headers["Location"]))
    assert "Continue with Okta" in page
    come_back(client, query="?fresh=1")
    response = client.post("/account/security/authenticator/")
    assert response.headers["Location"] == "/account/security/authenticator/"


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1/one", "https://no-such-host.invalid"])
def test_a_provider_that_is_down_gets_a_page_within_five_seconds(client, provider, issuer):
    provider.issuer, provider.version = issuer, 2
    provider.save()
    began = time.monotonic()
    response = client.get("/sso/one/")
    assert response.status_code == 503
    assert "Okta is unavailable" in page_of(response)
    assert time.monotonic() - began < 5


def test_a_provider_that_hangs_is_given_up(client, provider, monkeypatch):
    monkeypatch.setattr("apono_portal.sso.clients.TOTAL_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        provider.issuer, provider.version = f"http://127.0.0.1:{silent.getsockname()[1]}", 2
        provider.save()
        began = time.monotonic()
        assert client.get("/sso/one/").status_code == 503
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "content",
    ["", "[]", "null", '"x"', "{", '{"issuer": 1}', '{"issuer": "BASE", "jwks_uri": []}'],
)
def test_a_malformed_discovery_document_gets_a_page(client, provider, content):
    with answering(content) as base:
        provider.issuer, provider.version = base, 2
        provider.save()
        assert client.get("/sso/one/").status_code in {403, 503}


def test_a_discovery_document_of_another_issuer_is_refused(client, provider, directory):
    provider.issuer, provider.version = f"{directory.issuer()}/", 2
    provider.save()
    assert client.get("/sso/one/").status_code == 503


@pytest.fixture
def laconic(provider, directory):
    """A provider whose ID tokens hold the subject alone; the rest is at its userinfo endpoint."""
    provider.delete()
    return IdentityProviderFactory(
        slug="two", name="Laconic", issuer=directory.issuer("two"), domains=["halden.example"]
    )


def test_what_an_id_token_lacks_is_read_from_userinfo(client, directory, laconic):
    group = GroupFactory(name="Engineers")
    laconic.mappings.create(value="eng", group=group)
    directory.person(groups=["eng"])
    assert (
        client.get(directory.visit(client.get("/sso/two/").headers["Location"])).status_code == 302
    )
    user = User.objects.get(email="hannah@halden.example")
    assert list(user.groups.all()) == [group]


def test_userinfo_of_another_subject_is_refused(client, directory, laconic):
    other = {"sub": "petra", "email": "petra@halden.example", "email_verified": True}
    directory.person(userinfo=other)
    answer = client.get(directory.visit(client.get("/sso/two/").headers["Location"]))
    assert answer.status_code == 403
    assert "another user" in page_of(answer)
    assert not User.objects.exists()


def test_a_new_signing_key_is_read(client, come_back, directory, monkeypatch):
    monkeypatch.setattr("apono_portal.sso.clients.KEY_REFRESH_S", 0)
    come_back(client)
    directory.call("rotate", issuer="one")
    assert come_back(Client()).status_code == 302


def test_the_sign_in_page_offers_providers_and_folds_the_form(client, provider):
    page = page_of(client.get("/sign-in/?next=/requests/"))
    assert "/sso/one/?next=/requests/" in page
    assert '<details class="local-form">' in page
    UserFactory(email="petra@example.org")
    data = {"username": "petra@example.org", "password": "wrong"}
    assert '<details class="local-form" open>' in page_of(client.post("/sign-in/", data))
    assert client.post("/sign-in/", data | {"password": PASSWORD}).status_code == 302
