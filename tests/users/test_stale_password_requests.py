"""A request to set a password that waited at the lock while the account changed sets nothing."""

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.test import Client, RequestFactory

from apono_portal.core.web.client import SYSTEM
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import ChangePasswordForm
from apono_portal.users.models import User
from apono_portal.users.services.passwords import link_to_set_password
from mfa.exceptions import WindowClosed
from tests.factories import (
    PASSWORD,
    AuthenticatorFactory,
    UserFactory,
    VerificationFactory,
    code_for,
    window_of,
)

NEW = "another-horse-battery-staple"


@pytest.fixture
def device(db):
    return AuthenticatorFactory()


@pytest.fixture
def petra(device):
    return User.objects.select_related("mfa_state").get(pk=device.user.pk)


@pytest.fixture
def window(petra):
    return window_of(VerificationFactory(user=petra))


@pytest.fixture
def admin(db, settings):
    settings.MFA_ADMINS_MUST_ENROL = False
    return UserFactory(admin=True)


def reset(admin, user, *, require_new_password):
    services.reset_mfa_of_user(
        actor=admin,
        window=None,
        user=User.objects.get(pk=user.pk),
        reason="Lost",
        revoke_access=False,
        client_info=SYSTEM,
        require_new_password=require_new_password,
    )


def voids_password(admin, user):
    reset(admin, user, require_new_password=True)


def deactivates(admin, user):
    services.deactivate_user(
        actor=admin, window=None, user=User.objects.get(pk=user.pk), client_info=SYSTEM
    )


def checked_user(user):
    """Return the user as the form leaves it when the current password was correct."""
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    form = ChangePasswordForm(user, data, request=RequestFactory().post("/"))
    assert form.is_valid()
    return form.checked_user


@pytest.mark.parametrize("meanwhile", [voids_password, deactivates])
@pytest.mark.parametrize("is_open", [True, False])
def test_change_is_refused_after_the_account_changed(admin, petra, window, meanwhile, is_open):
    user = checked_user(petra)
    meanwhile(admin, petra)
    with pytest.raises(UserError, match="Sign in again"):
        services.change_password(
            user=user, window=window if is_open else None, password=NEW, client_info=SYSTEM
        )
    assert not User.objects.get(pk=petra.pk).check_password(NEW)


def test_change_is_refused_after_a_reset_that_keeps_the_password(admin, petra, window):
    user = checked_user(petra)
    reset(admin, petra, require_new_password=False)
    with pytest.raises(WindowClosed):
        services.change_password(user=user, window=window, password=NEW, client_info=SYSTEM)


def test_second_of_two_changes_is_refused(petra):
    petra.totpdevice_set.all().delete()
    user, other = checked_user(petra), checked_user(petra)
    services.change_password(user=user, window=None, password=NEW, client_info=SYSTEM)
    with pytest.raises(UserError, match="Sign in again"):
        services.change_password(user=other, window=None, password="x" * 20, client_info=SYSTEM)
    assert User.objects.get(pk=petra.pk).check_password(NEW)


@pytest.mark.parametrize("meanwhile", [voids_password, deactivates])
def test_link_is_refused_after_the_account_changed(admin, petra, device, meanwhile):
    token = default_token_generator.make_token(petra)
    code = code_for(device)
    meanwhile(admin, petra)
    with pytest.raises(UserError, match="link no longer works"):
        services.set_password(user=petra, token=token, password=NEW, code=code, client_info=SYSTEM)
    assert not User.objects.get(pk=petra.pk).check_password(NEW)


def test_link_counts_once_for_two_requests_that_opened_it(db):
    user = UserFactory()
    token = default_token_generator.make_token(user)
    stale = User.objects.get(pk=user.pk)
    services.set_password(user=user, token=token, password=NEW, client_info=SYSTEM)
    with pytest.raises(UserError, match="link no longer works"):
        services.set_password(user=stale, token=token, password="x" * 20, client_info=SYSTEM)
    assert User.objects.get(pk=user.pk).check_password(NEW)


@pytest.mark.parametrize(
    ("door", "status", "sentence"),
    [("change_password", 422, "Sign in again."), ("set_password", 410, "no longer works")],
)
def test_page_says_why(admin, signed_in, monkeypatch, door, status, sentence):
    user = UserFactory()
    address = "/account/password/"
    link = link_to_set_password(User.objects.get(pk=user.pk)).removeprefix("http://localhost")
    client = signed_in(user) if door == "change_password" else Client()
    if door == "set_password":
        address = client.get(link, follow=True).redirect_chain[-1][0]
    service = getattr(services, door)

    def wait_and_call(**kwargs):
        deactivates(admin, user)
        return service(**kwargs)

    monkeypatch.setattr(services, door, wait_and_call)
    data = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    answer = client.post(address, data)
    assert (answer.status_code, sentence in answer.content.decode()) == (status, True)
    assert not User.objects.get(pk=user.pk).check_password(NEW)
