"""A forgotten password: a link by email that works once, for an hour, and never without the second factor."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from apono_portal.scim.models import Directory, ScimUser
from apono_portal.sso.models import SignInDomain
from apono_portal.users.models import User
from audit.models import Delivery, Event
from audit.outbox.deliveries import deliver_due
from mfa.verification.window import SESSION_KEY
from tests.factories import (
    PASSWORD,
    AuthenticatorFactory,
    IdentityProviderFactory,
    UserFactory,
    code_for,
)

FORGOT = "/forgot-password/"
NEW = "another-horse-battery-staple"
PASSWORDS = {"new_password1": NEW, "new_password2": NEW}


@pytest.fixture
def petra(db, settings):
    settings.EMAIL_CONFIGURED = True
    return UserFactory(name="Petra Person", email="petra@example.org")


def request_link(client, email="petra@example.org", **extra):
    return client.post(FORGOT, {"email": email}, **extra)


def emails():
    deliver_due(timezone.now())
    return [message for message in mail.outbox if "reset your password" in message.subject]


def emailed_link(client, email="petra@example.org"):
    request_link(client, email)
    return re.search(r"http://localhost(/reset-password/\S+)", emails()[-1].body)[1]


def form_of(client, link):
    """Open a link; return the address of the form behind it, or None if it no longer works."""
    response = client.get(link)
    if response.status_code == 410:
        return None
    assert response.headers["Referrer-Policy"] == "no-referrer"
    return response.headers["Location"]


def test_link_sets_a_new_password_once_and_ends_sessions(petra, client, signed_in):
    old = signed_in(petra)
    link = emailed_link(client)
    form = form_of(client, link)
    assert link.split("/")[-2] not in form
    assert client.post(form, PASSWORDS).headers["Location"] == "/sign-in/"
    assert User.objects.get(pk=petra.pk).check_password(NEW)
    assert old.get("/account/security/").status_code == 302
    assert form_of(Client(), link) is None


def test_nobody_is_signed_in_by_it(petra, client):
    client.post(form_of(client, emailed_link(client)), PASSWORDS)
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize("code", ["", "000000"])
def test_the_mailbox_alone_does_not_reset_the_password_of_an_enrolled_user(petra, client, code):
    AuthenticatorFactory(user=petra)
    form = form_of(client, emailed_link(client))
    assert client.post(form, PASSWORDS | {"code": code}).status_code == 422
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


def test_an_enrolled_user_resets_it_with_a_code_and_verifies_again_afterwards(petra, client):
    authenticator = AuthenticatorFactory(user=petra)
    form = form_of(client, emailed_link(client))
    client.post(form, PASSWORDS | {"code": code_for(authenticator)})
    assert client.post("/sign-in/", {"username": petra.email, "password": NEW}).status_code == 302
    assert SESSION_KEY not in client.session
    assert petra.totpdevice_set.filter(confirmed=True).exists()


def test_answer_is_the_same_for_every_email(petra, client, django_assert_num_queries):
    AuthenticatorFactory(user=petra)
    answers = [request_link(client, email) for email in ("petra@example.org", "no@example.org")]
    assert answers[0].headers["Location"] == answers[1].headers["Location"]
    assert [message.to for message in emails()] == [[petra.email]]
    assert not Delivery.objects.filter(recipient="no@example.org").exists()


def test_as_much_is_written_for_an_unknown_email(petra, client):
    def statements(email):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            request_link(client, email)
        return [query["sql"].split(" ")[0] for query in queries]

    known = statements("petra@example.org")
    unknown = statements("nobody@example.org")
    assert [name for name in known if name not in {"RELEASE", "ROLLBACK"}] == [
        name for name in unknown if name not in {"RELEASE", "ROLLBACK"}
    ]


def without_password(user):
    user.set_unusable_password()
    user.save()


def deactivated(user):
    User.objects.filter(pk=user.pk).update(is_active=False)


def service_account(user):
    User.objects.filter(pk=user.pk).update(is_service=True)


def enforced(user):
    provider = IdentityProviderFactory(slug="okta", name="Okta", domains=["example.org"])
    SignInDomain.objects.filter(provider=provider).update(is_enforced=True)


def managed(user):
    ScimUser.objects.create(directory=Directory.objects.create(name="Okta"), user=user)


NOT_LOCAL = [without_password, deactivated, service_account, enforced, managed]


@pytest.mark.parametrize("change", NOT_LOCAL)
def test_only_local_accounts_get_a_link(petra, client, change):
    change(petra)
    assert request_link(client).headers["Location"] == "/forgot-password/sent/"
    assert emails() == []


@pytest.mark.parametrize("change", [deactivated, enforced])
def test_link_is_void_once_the_account_is_not_local_any_more(petra, client, change):
    form = form_of(client, emailed_link(client))
    change(petra)
    assert client.post(form, PASSWORDS).status_code == 410
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


def test_link_is_void_after_an_hour_a_sign_in_or_another_password(petra, client):
    first = emailed_link(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert form_of(Client(), first) is None
    client.post("/sign-in/", {"username": petra.email, "password": PASSWORD})
    assert form_of(Client(), first) is None
    second = emailed_link(client)
    form = form_of(client, second)
    user = User.objects.get(pk=petra.pk)
    user.set_password("yet-another-horse-battery")
    user.save()
    assert form_of(Client(), second) is None
    assert client.post(form, PASSWORDS).status_code == 410


def test_a_link_of_one_kind_or_user_is_none_of_another(petra, client):
    link = emailed_link(client)
    assert form_of(client, link.replace("/reset-password/", "/set-password/")) is None
    other = emailed_link(client, UserFactory(email="olga@example.org").email)
    mixed = "/".join([*link.split("/")[:3], *other.split("/")[3:]])
    assert form_of(client, mixed) is None


def test_email_that_waited_too_long_is_withdrawn(petra, client):
    request_link(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert emails() == []


def test_token_is_stored_nowhere(petra, client):
    token = emailed_link(client).split("/")[-2]
    stored = str(list(Event.objects.values())) + str(list(Delivery.objects.values()))
    assert token not in stored
    event = Event.objects.get(event="user:request_password_link")
    assert (event.actor_id, event.target_id) == (None, str(petra.pk))


def test_few_emails_are_sent_and_few_requests_accepted(petra, client):
    for _ in range(10):
        assert request_link(client).status_code == 302
    assert request_link(client).status_code == 429
    assert len(emails()) == 3
    credentials = {"username": petra.email, "password": PASSWORD}
    assert Client().post("/sign-in/", credentials).status_code == 302


def test_one_network_does_not_go_through_many_accounts(petra, client):
    codes = {request_link(client, f"a{n}@example.org").status_code for n in range(30)}
    assert codes == {302}
    assert request_link(client, "a31@example.org").status_code == 429
    assert request_link(client, "a31@example.org", REMOTE_ADDR="10.9.9.9").status_code == 302


def test_five_wrong_codes_stop_this_browser(petra, client):
    AuthenticatorFactory(user=petra)
    form = form_of(client, emailed_link(client))
    for _ in range(5):
        response = client.post(form, PASSWORDS | {"code": "000000"})
    assert response.headers["Location"] == "/sign-in/"
    assert client.post(form, PASSWORDS | {"code": "000000"}).status_code == 410


def test_without_email_the_page_says_whom_to_ask(db, client):
    assert "Ask an account admin" in client.get("/sign-in/").content.decode()
    page = client.get(FORGOT).content.decode()
    assert "Ask an account admin" in page
    assert "<form" not in page
    request_link(client)
    assert not Event.objects.exists()


def test_with_email_the_sign_in_page_leads_there(petra, client):
    assert FORGOT in client.get("/sign-in/").content.decode()
    assert request_link(client, "no email").status_code == 422
