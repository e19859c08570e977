"""Service accounts: made by admins, without a way to sign in, and never requesters of protected access."""

import re

import pytest
from django.test import Client

from apono_portal.api.models import ApiToken
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import Role, User
from apono_portal.users.services import change_user, create_user, invite_user, user_digest
from requests_app.models import AccessRequest
from tests.api.v1.test_requests import body_for
from tests.conftest import BACKEND
from tests.factories import PASSWORD, AccessFlowFactory, UserFactory, fresh_window

pytestmark = pytest.mark.django_db
ACCOUNT = {"email": "ci-team@example.org", "name": "Deployments", "role": "member", "groups": ""}
TOKEN = {"name": "runner", "days": "30", "scopes": ["requests:write"]}


def test_an_admin_adds_one_and_creates_its_token(admin_client, mailoutbox):
    response = admin_client.post("/users/new/", {**ACCOUNT, "is_service": "on"})
    account = User.objects.get(is_service=True)
    assert response.headers["Location"] == f"/users/{account.pk}/tokens/new/"
    page = admin_client.post(response.headers["Location"], TOKEN).content.decode()
    assert len(re.findall(r"apt_[0-9A-Za-z]{49}", page)) == 1
    assert ApiToken.objects.get().user == account


def test_it_requests_what_requires_no_mfa_and_nothing_else(api_of):
    account = UserFactory(is_service=True)
    plain = AccessFlowFactory(requester_users=[account], targets=1)
    protected = AccessFlowFactory(requester_users=[account], targets=1, require_mfa=True)
    client = api_of(account)
    assert client.post("/requests", body_for(plain)).status_code == 201
    refused = client.post("/requests", body_for(protected))
    assert refused.status_code == 422
    assert "Service accounts" in refused.json()["detail"]
    assert AccessRequest.objects.count() == 1


def test_it_signs_in_nowhere(client, admin_user):
    account = UserFactory(is_service=True)
    form = {"username": account.email, "password": PASSWORD}
    assert client.post("/sign-in/", form).status_code == 422
    forced = Client()
    forced.force_login(account, backend=BACKEND)
    assert forced.get("/").status_code == 302
    with pytest.raises(UserError):
        invite_user(
            actor=admin_user,
            window=fresh_window(admin_user),
            user=account,
            client_info=SYSTEM,
        )


def test_it_is_never_an_admin(admin_user):
    by_admin = {
        "actor": admin_user,
        "window": fresh_window(admin_user),
        "client_info": SYSTEM,
        "name": "Deployments",
        "role": Role.ADMIN,
        "groups": [],
    }
    account = UserFactory(is_service=True)
    with pytest.raises(UserError):
        create_user(**by_admin, email="ci@example.org", is_service=True)
    with pytest.raises(UserError):
        change_user(**by_admin, user=account, seen=user_digest(account))


def test_nobody_makes_a_token_for_a_person(admin_client, member_client):
    person, account = UserFactory(), UserFactory(is_service=True)
    assert admin_client.post(f"/users/{person.pk}/tokens/new/", TOKEN).status_code == 404
    assert member_client.post(f"/users/{account.pk}/tokens/new/", TOKEN).status_code == 404
    assert not ApiToken.objects.exists()
