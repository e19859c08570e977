"""Sign-in CSRF, code injection, mix-up of providers, passwords where they are off."""

from urllib.parse import urlencode

import pytest
from django.test import Client

from apono_portal.sso.models import IdentityProvider, SignInDomain
from apono_portal.users.models import User
from audit.models import Delivery, Event
from tests.factories import PASSWORD, IdentityProviderFactory, UserFactory
from tests.fixtures.sso import query_of
from tests.sso.conftest import is_signed_in


@pytest.fixture
def other_provider(directory, provider) -> IdentityProvider:
    return IdentityProviderFactory(
        slug="two", name="Contractors", issuer=directory.issuer("two"), domains=["evil.example"]
    )


def test_a_stranger_cannot_sign_a_victim_in_to_their_account(directory, provider):
    """Sign-in CSRF: an answer made in one browser is opened in another."""
    directory.person("attacker", email="attacker@halden.example")
    back = directory.visit(Client().get("/sso/one/").headers["Location"])
    victim = Client()
    victim.get("/sso/one/")  # has an attempt of its own
    assert victim.get(back).status_code == 400
    assert not is_signed_in(victim)


def test_a_code_of_another_sign_in_is_refused(directory, provider):
    """Code injection: a stolen code under the attacker's own state lacks the right PKCE verifier."""
    directory.person("victim", email="victim@halden.example")
    stolen = query_of(directory.visit(Client().get("/sso/one/").headers["Location"]))["code"]
    attacker = Client()
    directory.person("attacker", email="attacker@halden.example")
    own = query_of(directory.visit(attacker.get("/sso/one/").headers["Location"]))
    response = attacker.get(f"/sso/one/callback/?{urlencode(own | {'code': stolen})}")
    assert response.status_code == 403
    assert not is_signed_in(attacker)


def test_an_answer_of_one_provider_is_not_another_ones(directory, provider, other_provider):
    """Mix-up: the answer is sent to the redirect address of the other provider."""
    directory.person()
    client = Client()
    back = directory.visit(client.get("/sso/one/").headers["Location"])
    assert client.get(back.replace("/one/", "/two/", 1)).status_code == 400
    assert not is_signed_in(client)


def test_an_answer_that_names_another_issuer_is_refused(directory, provider, other_provider):
    directory.person()
    client = Client()
    own = query_of(directory.visit(client.get("/sso/one/").headers["Location"]))
    for issuer in ({"iss": other_provider.issuer}, {}):
        query = urlencode({k: v for k, v in own.items() if k != "iss"} | issuer)
        assert client.get(f"/sso/one/callback/?{query}").status_code == 400
    assert not is_signed_in(client)


def test_the_same_subject_at_another_provider_is_another_user(
    client, come_back, directory, other_provider
):
    come_back(client)
    directory.person("hannah", email="hannah@halden.example")
    stranger = Client()
    back = directory.visit(stranger.get("/sso/two/").headers["Location"])
    assert stranger.get(back).status_code == 403  # nor may it vouch for that domain
    assert not is_signed_in(stranger)


@pytest.mark.parametrize(
    "query", ["", "?state=x", "?state=x&code=y", "?code=y", "?error=access_denied", "?state=%00"]
)
def test_a_made_up_answer_is_refused(client, provider, query):
    client.get("/sso/one/")
    assert client.get(f"/sso/one/callback/{query}").status_code == 400


def test_next_leads_nowhere_else(client, come_back):
    response = come_back(client, query="?next=https://evil.example/")
    assert response.headers["Location"] == "/"


@pytest.fixture
def enforced(provider) -> SignInDomain:
    domain = provider.domains.get()
    domain.is_enforced = True
    domain.save()
    return domain


def submit(client, email, password=PASSWORD):
    return client.post("/sign-in/", {"username": email, "password": password})


@pytest.mark.parametrize("email", ["petra@halden.example", "PETRA@Halden.example"])
def test_no_password_of_an_enforced_domain_counts(client, enforced, email):
    UserFactory(email="petra@halden.example")
    right, wrong = submit(client, email), submit(client, email, "wrong")
    nobody = submit(client, "nobody@halden.example", "wrong")
    sentence = "Users of this domain sign in with Okta."
    assert all(sentence in answer.content.decode() for answer in (right, wrong, nobody))
    assert not is_signed_in(client)
    assert submit(client, UserFactory(email="petra@elsewhere.example").email).status_code == 302


def test_right_and_wrong_passwords_of_an_enforced_domain_use_up_one_budget(client, enforced):
    UserFactory(email="petra@halden.example")
    answers = [submit(client, "petra@halden.example").status_code for _ in range(10)]
    assert answers == [422] * 9 + [429]


def test_the_break_glass_admin_signs_in_and_all_admins_are_alarmed(client, enforced):
    admin = UserFactory(email="breakglass@halden.example", role="admin", is_break_glass=True)
    other = UserFactory(role="admin")
    assert submit(client, admin.email).status_code == 302
    assert Event.objects.get(event="session:break_glass").actor_id == admin.pk
    alarms = Delivery.objects.filter(subject__contains="Break-glass sign-in")
    assert set(alarms.values_list("recipient", flat=True)) == {admin.email, other.email}


def test_a_break_glass_user_who_is_no_admin_any_more_has_no_exception(client, enforced):
    user = UserFactory(email="former@halden.example", is_break_glass=True)
    assert submit(client, user.email).status_code == 422


def test_the_break_glass_admin_stays_one_while_needed(enforced, admin_client):
    admin = UserFactory(role="admin", is_break_glass=True)
    admin_client.post(f"/users/{admin.pk}/deactivate/")
    admin.refresh_from_db()
    assert admin.is_active
    SignInDomain.objects.update(is_enforced=False)
    admin_client.post(f"/users/{admin.pk}/deactivate/")
    admin.refresh_from_db()
    assert not admin.is_active


def test_passwords_of_an_enforced_domain_are_not_changed_either(enforced, signed_in, admin_client):
    user = UserFactory(email="petra@halden.example")
    client = signed_in(user)
    assert client.get("/account/password/").headers["Location"] == "/account/security/"
    assert "Change password" not in client.get("/account/security/").content.decode()
    admin_client.post(f"/users/{user.pk}/invite/")
    assert not Event.objects.filter(event="user:invite").exists()


def test_a_password_link_from_before_is_void(client, enforced):
    from apono_portal.users.services.passwords import link_to_set_password

    user = UserFactory(email="petra@halden.example")
    response = client.get(link_to_set_password(user).removeprefix("http://localhost"))
    assert response.status_code == 410


def test_in_an_enforced_domain_the_password_still_connects_the_account(client, enforced, come_back):
    user = UserFactory(email="hannah@halden.example")
    come_back(client)
    assert submit(client, user.email).status_code == 302
    client.post("/sso/connect/")
    assert submit(Client(), user.email).status_code == 422
    other = Client()
    come_back(other)
    assert is_signed_in(other)


def test_no_secret_is_in_the_database(client, come_back, provider):
    come_back(client)
    rows = str(list(IdentityProvider.objects.values())) + str(list(Event.objects.values()))
    assert "client-secret" not in rows.replace("encrypted_secret", "")
    assert "eyJ" not in rows
    assert User.objects.count() == 1


def test_refusals_do_not_fill_the_log(client, provider):
    provider.issuer, provider.version = "http://127.0.0.1:1", 3
    provider.save()
    for _ in range(12):
        assert client.get("/sso/one/").status_code == 503
    assert Event.objects.filter(event="provider:refuse").count() == 10


def test_a_session_keeps_few_attempts(client, provider):
    for _ in range(8):
        client.get("/sso/one/")
    states = [key for key, _ in client.session.items() if key.startswith("_state_")]
    assert len(states) == len(client.session["sso_attempts"]) == 5
