"""Credentials and extensions by token: only what its owner has confirmed for it."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.api.models import TokenConfirmation
from apono_portal.api.tokens.services import confirm_token
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from mfa.reset import reset_mfa
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    fresh_window,
    sign,
)

pytestmark = pytest.mark.django_db
NOT_REVEALED = "The credential was not revealed."


def reaches_target(response) -> bool:
    """Return whether the portal called the target, which does not answer in these tests."""
    return response.status_code == 422 and NOT_REVEALED in response.json()["detail"]


def active_grant(user, *, require_mfa: bool = True, token=None):
    flow = AccessFlowFactory(
        requester_users=[user], targets=1, require_mfa=require_mfa, max_extensions=1
    )
    request = AccessRequestFactory(
        requester=user, flow=flow, status=Status.ACTIVE, duration=timedelta(hours=4)
    )
    if token:
        AccessRequest.objects.filter(pk=request.pk).update(token_id=token.pk, token_name=token.name)
        sign(request)
    return GrantFactory(request=request, login="apono_x", login_mark="1", system_identifier="1")


def test_an_unprotected_credential_needs_nothing_more(api_of):
    user = UserFactory()
    client, grant = api_of(user), active_grant(user, require_mfa=False)
    [listed] = client.get("/access").json()["items"]
    assert listed["id"] == str(grant.pk)
    assert reaches_target(client.post(f"/access/{grant.pk}/reveal"))
    event = Event.objects.get(event="grant:reveal")
    assert event.metadata["token"]["id"] == client.token.pk


def test_a_protected_credential_needs_its_owner_in_a_browser(api_of, verified):
    user = UserFactory()
    client, grant, browser = api_of(user, name="ci"), active_grant(user), verified(user)
    refused = client.post(f"/access/{grant.pk}/reveal")
    assert refused.status_code == 403
    assert refused.json()["code"] == "mfa_required"
    url = refused.json()["step_up_url"].removeprefix("http://localhost")
    assert url == f"/account/tokens/{client.token.pk}/requests/AR-{grant.request_id}/"
    assert "<bdi>ci</bdi>" in browser.get(url).content.decode()
    assert client.post(f"/access/{grant.pk}/reveal").status_code == 403
    assert browser.post(url).status_code == 302
    other = api_of(user)
    assert other.post(f"/access/{grant.pk}/reveal").status_code == 403
    assert reaches_target(client.post(f"/access/{grant.pk}/reveal"))


def test_a_confirmation_lasts_as_long_as_its_window(api_of):
    user = UserFactory()
    client, grant = api_of(user), active_grant(user)
    confirm(client, grant)
    with time_machine.travel(timezone.now() + timedelta(minutes=59)):
        assert reaches_target(client.post(f"/access/{grant.pk}/reveal"))
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert client.post(f"/access/{grant.pk}/reveal").status_code == 403


def test_nobody_confirms_without_an_open_window_or_for_another(api_of, signed_in, verified):
    user = UserFactory()
    client, grant = api_of(user), active_grant(user)
    url = f"/account/tokens/{client.token.pk}/requests/AR-{grant.request_id}/"
    assert signed_in(user).post(url).headers["Location"].startswith("/account/step-up/")
    assert verified(UserFactory()).post(url).status_code == 404
    assert not TokenConfirmation.objects.exists()


def test_a_reset_voids_what_was_confirmed(api_of, admin_user):
    user = UserFactory()
    client, grant = api_of(user), active_grant(user)
    confirm(client, grant)
    reset_mfa(
        actor=admin_user,
        user=user,
        reason="Lost phone",
        window=fresh_window(admin_user),
        client_info=SYSTEM,
    )
    later = api_of(user)
    TokenConfirmation.objects.update(token=later.token)
    assert client.post(f"/access/{grant.pk}/reveal").status_code == 401
    assert later.post(f"/access/{grant.pk}/reveal").status_code == 403


def test_a_confirmation_moved_in_the_database_does_not_count(api_of):
    user = UserFactory()
    client, grant, thief = api_of(user), active_grant(user), api_of(user)
    confirm(client, grant)
    TokenConfirmation.objects.update(token=thief.token)
    assert thief.post(f"/access/{grant.pk}/reveal").status_code == 403


def test_the_verification_that_released_a_token_s_request_is_its_confirmation(api_of):
    user = UserFactory()
    client, other = api_of(user), api_of(user)
    grant = active_grant(user, token=client.token)
    assert other.post(f"/access/{grant.pk}/reveal").status_code == 403
    AccessRequest.objects.update(token_id=other.token.pk)  # by whoever writes to the database
    assert other.post(f"/access/{grant.pk}/reveal").status_code in {403, 409}
    AccessRequest.objects.update(token_id=client.token.pk)
    assert reaches_target(client.post(f"/access/{grant.pk}/reveal"))


def test_the_credential_of_another_does_not_exist(api_of, admin_user):
    grant = active_grant(UserFactory(), require_mfa=False)
    assert api_of(admin_user).post(f"/access/{grant.pk}/reveal").status_code == 404
    assert api_of(UserFactory()).post(f"/access/{grant.pk}/reset").status_code == 404


def test_extending_protected_access_needs_a_confirmation(api_of):
    user = UserFactory()
    client, grant = api_of(user), active_grant(user)
    response = client.post(f"/requests/{grant.request_id}/extend", {"extensions_used": 0})
    assert response.status_code == 403
    assert response.json()["step_up_url"].endswith(f"/requests/AR-{grant.request_id}/")
    grant.request.refresh_from_db()
    assert grant.request.extensions_used == 0


def confirm(client, grant) -> None:
    confirm_token(
        actor=client.token.user,
        token=client.token,
        request=grant.request,
        window=fresh_window(client.token.user),
        client_info=SYSTEM,
    )
