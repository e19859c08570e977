"""Changing a password, and setting it through a link."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from apono_portal.users import services
from apono_portal.users.models import User
from audit.models import Delivery, Event
from audit.outbox.deliveries import deliver_due
from mfa.verification.window import SESSION_KEY
from tests.factories import PASSWORD, UserFactory

CHANGE = "/account/password/"
NEW = "another-horse-battery-staple"


@pytest.fixture
def petra(db):
    return UserFactory(name="Petra Person", email="petra@example.org")


def form_data(**changes):
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return data | changes


def is_signed_in(client):
    return client.get(CHANGE).status_code == 200


def test_change_keeps_this_session_and_ends_the_others(petra, signed_in):
    here, there = signed_in(petra), signed_in(petra)
    assert here.post(CHANGE, form_data()).headers["Location"] == "/account/security/"
    assert is_signed_in(here)
    assert not is_signed_in(there)


def test_old_password_stops_working_and_the_change_is_recorded(petra, signed_in, client):
    signed_in(petra).post(CHANGE, form_data())
    credentials = {"username": petra.email, "password": PASSWORD}
    assert client.post("/sign-in/", credentials).status_code == 422
    assert client.post("/sign-in/", credentials | {"password": NEW}).status_code == 302
    event = Event.objects.get(event="user:change_password")
    assert (event.actor_id, event.target_id) == (petra.pk, str(petra.pk))
    assert NEW not in str(event.metadata)


def test_change_closes_the_verified_window_and_keeps_mfa(petra, verified):
    client = verified(petra)
    client.post(CHANGE, form_data())
    assert SESSION_KEY not in client.session
    assert petra.totpdevice_set.filter(confirmed=True).exists()


def test_change_voids_earlier_evidence(petra, verified):
    before = petra.mfa_epoch
    verified(petra).post(CHANGE, form_data())
    assert User.objects.get(pk=petra.pk).mfa_epoch == before + 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"old_password": "wrong"}, "Incorrect password"),
        ({"old_password": ""}, "required"),
        ({"new_password2": NEW + "x"}, "match"),
        ({"new_password1": "short", "new_password2": "short"}, "at least 12"),
        ({"new_password1": "1" * 20, "new_password2": "1" * 20}, "numeric"),
        ({"new_password1": "petraperson1", "new_password2": "petraperson1"}, "similar"),
        ({"new_password1": "x\x00" * 9, "new_password2": "x\x00" * 9}, "Null"),
    ],
)
def test_invalid_input_is_refused_with_a_reason(petra, signed_in, changes, sentence):
    client = signed_in(petra)
    response = client.post(CHANGE, form_data(**changes))
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


def test_guessing_the_current_password_is_blocked(petra, signed_in):
    client = signed_in(petra)
    for _ in range(10):
        client.post(CHANGE, form_data(old_password="guess"))
    assert client.post(CHANGE, form_data()).status_code == 429
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


# --- Links to set a password --------------------------------------------------------------------


def invite(admin_client, petra):
    """Create a link without email configured, and read it from the page."""
    response = admin_client.post(f"/users/{petra.pk}/invite/")
    link = re.search(r">(http[^<]+/set-password/[^<]+)<", response.content.decode())[1]
    return link.removeprefix("http://localhost"), response


def follow(client, link):
    response = client.get(link, follow=True)
    return response.redirect_chain[-1][0] if response.redirect_chain else None, response


def test_link_sets_a_password_once(admin_client, petra, client):
    link, response = invite(admin_client, petra)
    assert "no-store" in response.headers["Cache-Control"]
    form, _ = follow(client, link)
    assert client.post(form, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
    assert User.objects.get(pk=petra.pk).check_password(NEW)
    assert follow(client, link)[1].status_code == 410


def test_token_is_not_in_the_url_of_the_form(admin_client, petra, client):
    link, _ = invite(admin_client, petra)
    form, _ = follow(client, link)
    assert form.endswith("/set-password/")
    assert link.split("/")[-2] not in form


def test_link_expires_after_a_day(admin_client, petra, client):
    link, _ = invite(admin_client, petra)
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert follow(client, link)[1].status_code == 410


def test_deactivated_user_gets_no_link(admin_client, petra):
    User.objects.filter(pk=petra.pk).update(is_active=False)
    assert admin_client.post(f"/users/{petra.pk}/invite/").status_code == 404


def test_link_stops_working_when_the_user_is_deactivated(admin_client, petra, client):
    link, _ = invite(admin_client, petra)
    User.objects.filter(pk=petra.pk).update(is_active=False)
    assert follow(client, link)[1].status_code == 410


@pytest.mark.parametrize(
    "link", ["/set-password/MQ/x-y/", "/set-password/%00/x/", "/set-password/zz/set-password/"]
)
def test_invalid_link_does_nothing(client, db, link):
    assert client.get(link).status_code in {404, 410}


def test_setting_a_password_ends_existing_sessions(admin_client, petra, client, signed_in):
    old = signed_in(petra)
    form, _ = follow(client, invite(admin_client, petra)[0])
    client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert not is_signed_in(old)


def test_link_is_sent_by_email_only_if_configured(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    response = admin_client.post(f"/users/{petra.pk}/invite/", follow=True)
    deliver_due(timezone.now())
    assert mail.outbox[0].to == ["petra@example.org"]
    assert "http://localhost/set-password/" in mail.outbox[0].body
    assert "set-password" not in response.content.decode()


def test_emailed_link_is_not_stored(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    admin_client.post(f"/users/{petra.pk}/invite/")
    deliver_due(timezone.now())
    token = re.search(r"set-password/[^/]+/([^/]+)/", mail.outbox[0].body)[1]
    stored = str(list(Event.objects.values())) + str(list(Delivery.objects.values()))
    assert token not in stored
    assert Event.objects.filter(event="user:invite").exists()


def test_emailed_link_ignores_the_host_header(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    settings.ALLOWED_HOSTS = ["*"]
    admin_client.post(f"/users/{petra.pk}/invite/", headers={"host": "evil.example"})
    deliver_due(timezone.now())
    assert "evil.example" not in mail.outbox[0].body


def test_change_is_announced_by_email(petra):
    changes_password(petra)
    deliver_due(timezone.now())
    assert [sent.to for sent in mail.outbox] == [[petra.email]]
    assert "Your password was changed" in mail.outbox[0].subject
    assert NEW not in mail.outbox[0].body


def test_emailed_link_sets_a_password(admin_client, petra, client, settings):
    settings.EMAIL_CONFIGURED = True
    admin_client.post(f"/users/{petra.pk}/invite/")
    deliver_due(timezone.now())
    link = re.search(r"http://localhost(/set-password/\S+)", mail.outbox[0].body)[1]
    form, _ = follow(client, link)
    client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert User.objects.get(pk=petra.pk).check_password(NEW)


def deactivates(petra):
    User.objects.filter(pk=petra.pk).update(is_active=False)


def signs_in(petra):
    User.objects.filter(pk=petra.pk).update(last_login=timezone.now())


def changes_password(petra):
    token = default_token_generator.make_token(petra)
    services.set_password(user=petra, token=token, password=NEW, client_info=SYSTEM)


@pytest.mark.parametrize("meanwhile", [deactivates, signs_in, changes_password])
def test_email_with_a_void_link_is_withdrawn(admin_client, petra, settings, meanwhile):
    settings.EMAIL_CONFIGURED = True
    admin_client.post(f"/users/{petra.pk}/invite/")
    meanwhile(petra)
    deliver_due(timezone.now())
    assert [sent for sent in mail.outbox if "set your password" in sent.subject] == []
    link = Delivery.objects.get(deferred_part="password_link")
    assert link.state == Delivery.State.WITHDRAWN
