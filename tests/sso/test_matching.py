"""From an email to an account: who may be introduced by one, and who has to prove more."""

from typing import Any

import pytest
from django.test import Client

from apono_portal.sso.claims import verified_email
from apono_portal.sso.models import ExternalIdentity
from apono_portal.users.models import Role, User
from audit.models import Delivery
from tests.factories import PASSWORD, AuthenticatorFactory, UserFactory, code_for
from tests.sso.conftest import is_signed_in

EMAIL = "hannah@halden.example"


@pytest.fixture
def hannah(db) -> User:
    return UserFactory(name="Hannah", email=EMAIL)


def sign_in(client: Client) -> object:
    data = {"username": EMAIL, "password": PASSWORD, "next": "/sso/connect/"}
    return client.post("/sign-in/", data)


def test_an_account_in_use_is_not_taken_by_its_email(client, come_back, hannah):
    response = come_back(client)
    assert response.headers["Location"] == "/sso/connect/"
    assert not is_signed_in(client)
    assert "sign in with its password once" in client.get("/sso/connect/").content.decode()
    assert not ExternalIdentity.objects.exists()


def test_its_owner_connects_it_with_the_password(client, come_back, hannah):
    come_back(client)
    assert sign_in(client).headers["Location"] == "/sso/connect/"
    assert client.post("/sso/connect/").headers["Location"] == "/"
    assert ExternalIdentity.objects.get().user == hannah
    other = Client()
    come_back(other)
    assert is_signed_in(other)
    assert User.objects.count() == 1


def test_an_owner_with_mfa_verifies_first(client, come_back, hannah):
    authenticator = AuthenticatorFactory(user=hannah)
    come_back(client)
    sign_in(client)
    response = client.post("/sso/connect/", headers={"Referer": "http://testserver/sso/connect/"})
    assert response.headers["Location"].startswith("/account/step-up/")
    assert not ExternalIdentity.objects.exists()
    client.post(response.headers["Location"], {"code": code_for(authenticator)})
    client.post("/sso/connect/")
    assert ExternalIdentity.objects.get().user == hannah


def test_an_admin_without_mfa_cannot_connect(client, come_back, hannah, settings):
    settings.MFA_ADMINS_MUST_ENROL = False
    User.objects.update(role=Role.ADMIN)
    come_back(client)
    sign_in(client)
    client.post("/sso/connect/")
    assert not ExternalIdentity.objects.exists()


def test_somebody_else_cannot_connect_their_own_account(client, come_back, hannah):
    other = UserFactory(email="other@halden.example")
    come_back(client)
    client.force_login(other)
    assert client.post("/sso/connect/").headers["Location"] == "/sso/connect/"
    assert not ExternalIdentity.objects.exists()


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ADMIN])
def test_an_unused_account_belongs_to_its_email_unless_it_is_an_admins(client, come_back, role):
    User.objects.create_user(email=EMAIL, name="Hannah", role=role)
    come_back(client)
    assert is_signed_in(client) is (role == Role.MEMBER)


INTRODUCING_NOBODY: list[dict[str, Any]] = [
    {"email_verified": False},
    {"email_verified": "true"},
    {"email_verified": None},
    {"email": "hann\u0430h@halden.example"},  # a Cyrillic letter
    {"email": "\uff48annah@halden.example"},  # a full-width letter, which NFKC makes an h
    {"email": "hannah@h\u0430lden.example"},
    {"email": "hannah@halden.example@evil.example"},
    {"email": "hannah@sub.halden.example"},
    {"email": "hannah@halden.example\n"},
    {"email": ["hannah@halden.example"]},
    {"email": "hannah@evil.example"},
]


def test_an_email_that_is_unverified_or_looks_alike_introduces_nobody(client, come_back, hannah):
    for claims in INTRODUCING_NOBODY:
        answer = come_back(client, "stranger", **({"email": EMAIL} | claims))
        assert answer.status_code == 403, claims
    assert User.objects.get() == hannah
    assert not ExternalIdentity.objects.exists()


def test_an_email_in_capitals_is_the_same_account(client, come_back, hannah):
    response = come_back(client, email="HANNAH@Halden.Example")
    assert response.headers["Location"] == "/sso/connect/"


def test_a_service_account_signs_in_nowhere(client, come_back):
    User.objects.create_user(email=EMAIL, name="Deployments", is_service=True)
    assert come_back(client).status_code == 403
    assert not is_signed_in(client)
    assert not ExternalIdentity.objects.exists()


def test_an_email_tells_the_owner_of_an_account_that_it_was_connected(client, come_back):
    User.objects.create_user(email=EMAIL, name="Hannah")
    come_back(client)
    come_back(Client(), "petra")  # a new account
    connected = Delivery.objects.filter(subject__contains="Single sign-on was connected")
    assert [delivery.recipient for delivery in connected] == [EMAIL]


def test_microsofts_claim_counts_as_verified():
    claims = {"email": EMAIL, "xms_edov": True}
    assert verified_email(claims) == EMAIL
    assert verified_email(claims | {"xms_edov": False}) == ""


@pytest.mark.parametrize("letter", ["\u0430", "\uff41", "\u00e1", "\u017f"])
def test_an_email_with_a_letter_outside_ascii_is_none(letter):
    assert verified_email({"email": f"h{letter}nnah@halden.example", "email_verified": True}) == ""
