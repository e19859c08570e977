"""The devices on which a user is signed in: listed, and signed out one by one or all at once."""

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from apono_portal.retention import remove_old_rows
from apono_portal.users.models import SignedInDevice
from audit.models import Event
from tests.factories import PASSWORD, AuthenticatorFactory, UserFactory, code_for

SECURITY = "/account/security/"
OTHERS = "/account/devices/sign-out-others/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def clock():
    with time_machine.travel(1_800_000_000, tick=False) as travel:
        yield travel


@pytest.fixture
def petra(clock, db):
    return UserFactory(name="Petra Person", email="petra@example.org")


def browser(user, agent=FIREFOX, address="10.0.0.1"):
    client = Client(headers={"user-agent": agent}, REMOTE_ADDR=address)
    data = {"username": user.email, "password": PASSWORD}
    assert client.post("/sign-in/", data).status_code == 302
    return client


def device_of(client):
    return SignedInDevice.objects.get(pk=client.session["device"])


def sign_out(client, device):
    return client.post(f"/account/devices/{device.pk}/sign-out/")


def is_signed_in(client):
    return client.get(SECURITY).status_code == 200


def test_page_lists_each_device_by_name_and_no_key(petra):
    here, there = browser(petra), browser(petra, SAFARI, "10.0.0.2")
    page = here.get(SECURITY).content.decode()
    assert page.index("Firefox on Linux") < page.index("Safari on iPhone")
    assert page.count("This device") == 1
    assert "10.0.0.2" in page
    assert f"/account/devices/{device_of(there).pk}/sign-out/" in page
    for client in (here, there):
        assert client.session.session_key not in page
        assert device_of(client).session_hash not in page


def test_signing_out_a_device_ends_that_session_and_no_other(petra):
    here, there = browser(petra), browser(petra, SAFARI, "10.0.0.2")
    third = browser(petra)
    assert sign_out(here, device_of(there)).status_code == 302
    assert not is_signed_in(there)
    assert is_signed_in(here)
    assert is_signed_in(third)
    event = Event.objects.get(event="session:end")
    assert (event.actor_id, event.target_id) == (petra.pk, str(petra.pk))
    assert event.metadata["devices"] == ["Safari on iPhone, 10.0.0.2"]


def test_an_old_cookie_does_not_come_back(petra):
    here, there = browser(petra), browser(petra)
    stale = there.cookies["session"].value
    sign_out(here, device_of(there))
    there.cookies["session"] = stale
    assert not is_signed_in(there)
    assert Session.objects.count() == 1


def test_another_users_device_is_not_found(petra):
    mine, theirs = browser(petra), browser(UserFactory())
    assert sign_out(mine, device_of(theirs)).status_code == 404
    assert is_signed_in(theirs)


def test_this_device_is_signed_out_by_the_menu_only(petra):
    here = browser(petra)
    sign_out(here, device_of(here))
    assert is_signed_in(here)


def test_everywhere_else_leaves_this_session_alone(petra):
    here, others = browser(petra), [browser(petra) for _ in range(2)]
    stranger = browser(UserFactory())
    here.post(OTHERS)
    assert is_signed_in(here)
    assert is_signed_in(stranger)
    assert not any(is_signed_in(other) for other in others)
    assert Event.objects.get(event="session:end").metadata["sessions"] == 2


def test_a_session_with_a_new_key_after_a_code_is_still_found(petra):
    authenticator = AuthenticatorFactory(user=petra)
    here, there = browser(petra), browser(petra)
    before = device_of(there).session_hash
    assert there.post("/account/step-up/", {"code": code_for(authenticator)}).status_code == 302
    assert device_of(there).session_hash != before
    sign_out(here, device_of(there))
    assert not is_signed_in(there)


def test_new_password_leaves_only_this_device_on_the_list(petra):
    here, _ = browser(petra), browser(petra, SAFARI)
    new = "another-horse-battery-staple"
    data = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert here.post("/account/password/", data).status_code == 302
    page = here.get(SECURITY).content.decode()
    assert "This device" in page
    assert "Safari on iPhone" not in page


def test_last_seen_is_written_every_few_minutes_at_most(petra, clock):
    here = browser(petra)
    first = device_of(here).last_seen_at
    clock.shift(120)
    here.get(SECURITY)
    assert device_of(here).last_seen_at == first
    clock.shift(200)
    here.get(SECURITY, REMOTE_ADDR="10.0.0.9")
    assert device_of(here).last_seen_at == timezone.now()
    assert device_of(here).address == "10.0.0.9"


def test_signed_out_and_expired_devices_are_not_listed(petra, clock):
    here, gone = browser(petra), browser(petra, SAFARI)
    gone.post("/sign-out/")
    assert "Safari on iPhone" not in here.get(SECURITY).content.decode()
    browser(petra, SAFARI)
    clock.shift(3500)
    here.get(SECURITY)
    clock.shift(200)
    assert "Safari on iPhone" not in here.get(SECURITY).content.decode()
    clock.shift(24 * 3600)
    assert remove_old_rows(timezone.now())["devices"] == 2


def test_admin_ends_the_devices_of_a_user(petra, admin_client, admin_user):
    there = browser(petra)
    url = f"/users/{petra.pk}/devices/{device_of(there).pk}/sign-out/"
    assert admin_client.post(url).status_code == 302
    assert not is_signed_in(there)
    again = browser(petra)
    admin_client.post(f"/users/{petra.pk}/devices/sign-out/")
    assert not is_signed_in(again)
    assert {event.actor_id for event in Event.objects.filter(event="session:end")} == {
        admin_user.pk
    }


def test_members_and_unverified_admins_end_nobodys_devices(petra, signed_in):
    there, admin = browser(petra), UserFactory(admin=True)
    AuthenticatorFactory(user=admin)
    url = f"/users/{petra.pk}/devices/{device_of(there).pk}/sign-out/"
    assert browser(UserFactory()).post(url).status_code == 404
    assert signed_in(admin).post(url).status_code == 302
    assert is_signed_in(there)
