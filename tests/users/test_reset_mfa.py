"""MFA reset: by admins only, themselves included, effective at once, with a reason."""

import re

import pytest
from django.core import mail
from django.utils import timezone

from apono_portal.users.models import User
from apono_portal.users.services.passwords import link_to_set_password
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from mfa.models import Authenticator
from requests_app.models import AccessRequest, Status
from tests.factories import (
    PASSWORD,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    UserFactory,
)
from tests.forms import post_form


@pytest.fixture
def petra(db):
    user = UserFactory(name="Petra Person", email="petra@example.org")
    AuthenticatorFactory(user=user)
    return user


def path(user):
    return f"/users/{user.pk}/reset-mfa/"


def is_enrolled(user):
    return Authenticator.objects.confirmed().filter(user=user).exists()


def test_dialog_lists_the_effects(admin_client, petra):
    page = admin_client.get(path(petra)).content.decode()
    assert "data-dialog-content" in page
    for words in ("Reset MFA</h1>", "Ends every session", "Petra Person", ">Reset MFA</button>"):
        assert words in page
    assert is_enrolled(petra)


def test_reset_removes_mfa_and_ends_every_session(admin_client, petra, verified):
    client = verified(petra)
    assert client.get("/account/password/").status_code == 200
    response = post_form(admin_client, path(petra), {"reason": "Lost phone"})
    assert response.headers["Location"] == "/users/"
    assert not is_enrolled(petra)
    assert client.get("/account/password/").status_code == 302


def test_reset_is_recorded_with_its_reason(admin_client, admin_user, petra):
    post_form(admin_client, path(petra), {"reason": "Lost phone"})
    event = Event.objects.get(event="mfa:reset")
    assert (event.actor_id, event.target_id) == (admin_user.pk, str(petra.pk))
    assert event.metadata["reason"] == "Lost phone"


@pytest.mark.parametrize("reason", ["", "   ", "\n", "x" * 501])
def test_reset_needs_a_reason(admin_client, petra, reason):
    response = post_form(admin_client, path(petra), {"reason": reason})
    assert response.status_code == 422
    assert 'id="id_reason_error"' in response.content.decode()
    assert is_enrolled(petra)


@pytest.mark.parametrize(
    ("options", "status"), [({}, Status.ACTIVE), ({"revoke_access": "on"}, Status.REVOKING)]
)
def test_active_access_is_revoked_only_if_chosen(admin_client, petra, options, status):
    request = AccessRequestFactory(requester=petra, status=Status.ACTIVE)
    GrantFactory(request=request)
    post_form(admin_client, path(petra), {"reason": "Lost phone"} | options)
    assert AccessRequest.objects.get(pk=request.pk).status == status


def test_admin_can_reset_their_own_mfa(admin_user, verified):
    client = verified(admin_user)
    response = post_form(client, path(admin_user), {"reason": "New phone"}, follow=True)
    assert response.redirect_chain == [("/sign-in/", 302)]
    assert "Your MFA was reset" in response.content.decode()
    assert not is_enrolled(admin_user)


def test_enrolled_admin_needs_an_open_window(admin_user, signed_in, petra):
    AuthenticatorFactory(user=admin_user)
    response = post_form(signed_in(admin_user), path(petra), {"reason": "Lost phone"})
    assert response.status_code == 302
    assert is_enrolled(petra)


@pytest.mark.parametrize("role_client", ["member_client", "auditor_client"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_other_roles_get_404(request, petra, role_client, method):
    client = request.getfixturevalue(role_client)
    response = getattr(client, method)(path(petra), {"reason": "I want to"})
    assert response.status_code == 404
    assert is_enrolled(petra)


def test_user_without_mfa_has_nothing_to_reset(admin_client, member_user):
    response = post_form(admin_client, path(member_user), {"reason": "x"}, follow=True)
    assert "nothing to reset" in response.content.decode()
    assert not Event.objects.filter(event="mfa:reset").exists()


def test_reset_needs_a_csrf_token(admin_user, petra):
    from django.test import Client

    from tests.conftest import BACKEND

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user, backend=BACKEND)
    assert post_form(client, path(petra), {"reason": "x"}).status_code == 403
    assert is_enrolled(petra)


NEW_PASSWORD = {"reason": "Password may be stolen", "require_new_password": "on"}


def test_reset_can_require_a_new_password(admin_client, petra, client):
    page = post_form(admin_client, path(petra), NEW_PASSWORD)
    assert "no-store" in page.headers["Cache-Control"]
    link = re.search(r">http://localhost(/set-password/[^<]+)<", page.content.decode())
    assert not User.objects.get(pk=petra.pk).has_usable_password()
    assert Event.objects.get(event="mfa:reset").metadata["require_new_password"] is True
    assert Event.objects.filter(event="user:invite", target_id=str(petra.pk)).exists()
    form = client.get(link[1], follow=True).redirect_chain[-1][0]
    new = {"new_password1": "another-horse-battery", "new_password2": "another-horse-battery"}
    assert post_form(client, form, new).headers["Location"] == "/sign-in/"
    assert (
        post_form(
            client, "/sign-in/", {"username": petra.email, "password": "another-horse-battery"}
        ).status_code
        == 302
    )


def test_the_old_password_and_older_links_stop_working(admin_client, petra, client):
    older = link_to_set_password(petra).removeprefix("http://localhost")
    post_form(admin_client, path(petra), NEW_PASSWORD)
    credentials = {"username": petra.email, "password": PASSWORD}
    assert post_form(client, "/sign-in/", credentials).status_code == 422
    assert client.get(older, follow=True).status_code == 410


def test_new_password_link_is_emailed_if_email_is_configured(admin_client, petra, settings):
    settings.EMAIL_CONFIGURED = True
    page = post_form(admin_client, path(petra), NEW_PASSWORD, follow=True).content.decode()
    assert "is being sent to petra@example.org" in page
    assert "set-password" not in page
    deliver_due(timezone.now())
    assert any("http://localhost/set-password/" in message.body for message in mail.outbox)


def test_admin_who_resets_themselves_gets_the_link(admin_user, verified):
    page = post_form(verified(admin_user), path(admin_user), NEW_PASSWORD).content.decode()
    assert "/set-password/" in page
    assert not User.objects.get(pk=admin_user.pk).has_usable_password()
