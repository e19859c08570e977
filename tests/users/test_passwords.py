"""Changing one's password, and setting it through a link."""

import re
from datetime import timedelta

import pytest
import time_machine
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


def typed(**changes):
    said = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    return said | changes


def is_in(client):
    return client.get(CHANGE).status_code == 200


def test_this_session_goes_on_and_all_others_end(petra, signed_in):
    here, there = signed_in(petra), signed_in(petra)
    assert here.post(CHANGE, typed()).headers["Location"] == "/account/security/"
    assert is_in(here)
    assert not is_in(there)


def test_the_old_password_is_dead_and_the_change_recorded(petra, signed_in, client):
    signed_in(petra).post(CHANGE, typed())
    said = {"username": petra.email, "password": PASSWORD}
    assert client.post("/sign-in/", said).status_code == 422
    assert client.post("/sign-in/", said | {"password": NEW}).status_code == 302
    event = Event.objects.get(event="user:change_password")
    assert (event.actor_id, event.target_id) == (petra.pk, str(petra.pk))
    assert NEW not in str(event.metadata)


def test_the_verified_window_closes_and_mfa_stays(petra, verified):
    client = verified(petra)
    client.post(CHANGE, typed())
    assert SESSION_KEY not in client.session
    assert petra.totpdevice_set.filter(confirmed=True).exists()


def test_evidence_from_before_does_not_count_any_more(petra, verified):
    before = petra.mfa_epoch
    verified(petra).post(CHANGE, typed())
    assert User.objects.get(pk=petra.pk).mfa_epoch == before + 1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"old_password": "wrong"}, "The old password is not right"),
        ({"old_password": ""}, "required"),
        ({"new_password2": NEW + "x"}, "match"),
        ({"new_password1": "short", "new_password2": "short"}, "at least 12"),
        ({"new_password1": "1" * 20, "new_password2": "1" * 20}, "numeric"),
        ({"new_password1": "petraperson1", "new_password2": "petraperson1"}, "similar"),
        ({"new_password1": "x\x00" * 9, "new_password2": "x\x00" * 9}, "Null"),
    ],
)
def test_what_does_not_hold_is_told(petra, signed_in, changes, sentence):
    client = signed_in(petra)
    answer = client.post(CHANGE, typed(**changes))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


def test_guessing_the_old_password_is_held_off(petra, signed_in):
    client = signed_in(petra)
    for _ in range(10):
        client.post(CHANGE, typed(old_password="guess"))
    assert client.post(CHANGE, typed()).status_code == 429
    assert User.objects.get(pk=petra.pk).check_password(PASSWORD)


# --- Links to set a password --------------------------------------------------------------------


def invited(admin_client, petra):
    """Ask for a link where no mail is set up, and read it off the page."""
    answer = admin_client.post(f"/users/{petra.pk}/invite/")
    link = re.search(r'value="(http[^"]+/set-password/[^"]+)"', answer.content.decode())[1]
    return link.removeprefix("http://localhost"), answer


def follow(client, link):
    answer = client.get(link, follow=True)
    return answer.redirect_chain[-1][0] if answer.redirect_chain else None, answer


def test_a_link_sets_a_password_once(admin_client, petra, client):
    link, answer = invited(admin_client, petra)
    assert "no-store" in answer.headers["Cache-Control"]
    form, _ = follow(client, link)
    assert client.post(form, {"new_password1": NEW, "new_password2": NEW}).status_code == 302
    assert User.objects.get(pk=petra.pk).check_password(NEW)
    assert follow(client, link)[1].status_code == 410


def test_the_link_is_not_in_the_address_of_the_form(admin_client, petra, client):
    link, _ = invited(admin_client, petra)
    form, _ = follow(client, link)
    assert form.endswith("/set-password/")
    assert link.split("/")[-2] not in form


def test_a_link_dies_after_a_day(admin_client, petra, client):
    link, _ = invited(admin_client, petra)
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert follow(client, link)[1].status_code == 410


def test_no_link_is_made_for_a_deactivated_person(admin_client, petra):
    User.objects.filter(pk=petra.pk).update(is_active=False)
    assert admin_client.post(f"/users/{petra.pk}/invite/").status_code == 404


def test_a_link_dies_when_the_person_is_deactivated(admin_client, petra, client):
    link, _ = invited(admin_client, petra)
    User.objects.filter(pk=petra.pk).update(is_active=False)
    assert follow(client, link)[1].status_code == 410


@pytest.mark.parametrize(
    "link", ["/set-password/MQ/x-y/", "/set-password/%00/x/", "/set-password/zz/set-password/"]
)
def test_a_made_up_link_does_nothing(client, db, link):
    assert client.get(link).status_code in {404, 410}


def test_setting_a_password_ends_the_sessions_there_are(admin_client, petra, client, signed_in):
    old = signed_in(petra)
    form, _ = follow(client, invited(admin_client, petra)[0])
    client.post(form, {"new_password1": NEW, "new_password2": NEW})
    assert not is_in(old)


def test_with_mail_set_up_the_link_goes_by_mail_only(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    answer = admin_client.post(f"/users/{petra.pk}/invite/", follow=True)
    deliver_due(timezone.now())
    assert mail.outbox[0].to == ["petra@example.org"]
    assert "http://localhost/set-password/" in mail.outbox[0].body
    assert "set-password" not in answer.content.decode()


def test_the_link_is_kept_nowhere(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    admin_client.post(f"/users/{petra.pk}/invite/")
    deliver_due(timezone.now())
    token = re.search(r"set-password/[^/]+/([^/]+)/", mail.outbox[0].body)[1]
    kept = str(list(Event.objects.values())) + str(list(Delivery.objects.values()))
    assert token not in kept
    assert Event.objects.filter(event="user:invite").exists()


def test_the_link_leads_to_the_portal_whatever_the_caller_says(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    settings.ALLOWED_HOSTS = ["*"]
    admin_client.post(f"/users/{petra.pk}/invite/", headers={"host": "evil.example"})
    deliver_due(timezone.now())
    assert "evil.example" not in mail.outbox[0].body


def test_a_change_is_told_by_mail(petra):
    changes_password(petra)
    deliver_due(timezone.now())
    assert [sent.to for sent in mail.outbox] == [[petra.email]]
    assert "Your password was changed" in mail.outbox[0].subject
    assert NEW not in mail.outbox[0].body


def test_the_link_in_the_mail_sets_a_password(admin_client, petra, client, settings):
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
    services.set_password(user=petra, password=NEW, client_info=SYSTEM)


@pytest.mark.parametrize("meanwhile", [deactivates, signs_in, changes_password])
def test_a_mail_whose_link_would_be_dead_is_not_sent(admin_client, petra, settings, meanwhile):
    settings.EMAIL_CONFIGURED = True
    admin_client.post(f"/users/{petra.pk}/invite/")
    meanwhile(petra)
    deliver_due(timezone.now())
    assert [sent for sent in mail.outbox if "set your password" in sent.subject] == []
    link = Delivery.objects.get(deferred_part="password_link")
    assert link.state == Delivery.State.WITHDRAWN
