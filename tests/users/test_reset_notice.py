"""After an MFA reset the user reads at the next sign-in who reset it and why."""

import pytest
from django.test import Client

from tests.factories import PASSWORD, AuthenticatorFactory, UserFactory
from tests.forms import post_form

SENTENCE = "Ada Admin &lt;ada@example.org&gt; reset your MFA"


@pytest.fixture
def petra(db, admin_client):
    user = UserFactory(name="Petra Person", email="petra@example.org")
    AuthenticatorFactory(user=user)
    response = post_form(
        admin_client, f"/users/{user.pk}/reset-mfa/", {"reason": "Lost <b>phone</b>"}
    )
    assert response.status_code == 302
    return user


def sign_in(user):
    client = Client()
    data = {"username": user.email, "password": PASSWORD}
    return client, client.post("/sign-in/", data, follow=True).content.decode()


def test_next_sign_in_says_who_and_why_once(petra):
    _, page = sign_in(petra)
    assert SENTENCE in page
    assert "Lost &lt;b&gt;phone&lt;/b&gt;" in page
    assert SENTENCE not in sign_in(petra)[1]


def test_security_page_says_so_until_mfa_is_set_up(petra):
    client, _ = sign_in(petra)
    assert SENTENCE in client.get("/account/security/").content.decode()
    AuthenticatorFactory(user=petra)
    assert SENTENCE not in client.get("/account/security/").content.decode()


def test_nobody_else_reads_it(petra):
    assert SENTENCE not in sign_in(UserFactory())[1]
