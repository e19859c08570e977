"""Tokens: made by whoever has just verified, shown once, and void with their user's epoch."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.api.models import ApiToken
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.secrets import is_well_formed, new_secret
from apono_portal.api.tokens.selectors import token_in_force
from apono_portal.api.tokens.services import TokenTerms, create_token
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import Role
from apono_portal.users.services import change_user, deactivate_user, reactivate_user
from apono_portal.users.services.passwords import change_password
from apono_portal.users.services.users import user_digest
from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from mfa.reset import reset_mfa
from tests.api.conftest import make_token
from tests.factories import UserFactory, fresh_window

pytestmark = pytest.mark.django_db
FORM = {"name": "laptop", "days": "30", "scopes": ["requests:read", "requests:write"]}


def test_a_token_is_shown_once_and_only_its_hash_is_stored(member_user, verified, mailoutbox):
    page = verified(member_user).post("/account/tokens/new/", FORM)
    [secret] = re.findall(r"apt_[0-9A-Za-z]{49}", page.content.decode())
    token = ApiToken.objects.get()
    assert is_well_formed(secret)
    assert secret not in str(ApiToken.objects.values().get())
    assert token.prefix == secret[:12]
    assert token.expires_at - token.created_at == timedelta(days=30)
    event = Event.objects.get(event=EventName.TOKEN_CREATE)
    assert secret not in str(event.metadata)
    assert event.actor_id == member_user.pk


def test_no_token_is_made_without_an_open_window(member_user, signed_in):
    response = signed_in(member_user).post("/account/tokens/new/", FORM)
    assert response.status_code == 302
    assert not ApiToken.objects.exists()


def test_the_service_demands_the_window_too(member_user):
    terms = TokenTerms("laptop", [Scope.REQUESTS_READ], timedelta(days=1))
    with pytest.raises(WindowClosed):
        create_token(actor=member_user, terms=terms, window=None, client_info=SYSTEM)


def test_a_token_needs_an_active_user_whoever_deactivated_them(api_of):
    user = UserFactory()
    client = api_of(user)
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/me").status_code == 401


@pytest.mark.parametrize("change", [{"days": "91"}, {"days": "0"}, {"scopes": ["everything"]}])
def test_no_token_lasts_longer_or_permits_more_than_there_is(member_user, verified, change):
    response = verified(member_user).post("/account/tokens/new/", FORM | change)
    assert response.status_code == 422
    assert not ApiToken.objects.exists()


def test_a_mistyped_token_is_refused_without_the_database(django_assert_num_queries):
    secret = new_secret()
    with django_assert_num_queries(0):
        assert token_in_force(secret[:-1] + ("a" if secret[-1] != "a" else "b")) is None


@pytest.mark.parametrize("end", ["reset", "deactivate", "password", "role", "revoke", "expire"])
def test_a_stolen_token_is_worthless_once_its_owner_is_safe(api_of, admin_user, end):
    user = UserFactory()
    client = api_of(user)
    fresh_window(user)
    assert client.get("/me").status_code == 200
    by_admin = {
        "actor": admin_user,
        "user": user,
        "window": fresh_window(admin_user),
        "client_info": SYSTEM,
    }
    if end == "reset":
        reset_mfa(**by_admin, reason="Lost phone")
    elif end == "deactivate":
        deactivate_user(**by_admin)
    elif end == "password":
        window = fresh_window(user)
        change_password(user=user, window=window, password="x" * 20, client_info=SYSTEM)
    elif end == "role":
        change_user(
            **by_admin, name=user.name, role=Role.AUDITOR, groups=[], seen=user_digest(user)
        )
    elif end == "revoke":
        assert client.post("/me/token/revoke").status_code == 204
    with time_machine.travel(timezone.now() + timedelta(days=31 if end == "expire" else 0)):
        response = client.get("/me")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_reactivating_a_user_restores_no_token(api_of, admin_user):
    user = UserFactory()
    client = api_of(user)
    by_admin = {
        "actor": admin_user,
        "user": user,
        "window": fresh_window(admin_user),
        "client_info": SYSTEM,
    }
    deactivate_user(**by_admin)
    reactivate_user(**by_admin)
    assert client.get("/me").status_code == 401


@pytest.mark.parametrize(
    "field", ["token_hash", "scopes", "expires_at", "user_id", "revoked_at", "is_agent"]
)
def test_a_token_written_into_the_database_does_not_count(api_of, admin_user, field):
    user = UserFactory()
    client = api_of(user, [Scope.REQUESTS_READ])
    other, secret = make_token(UserFactory())
    if field == "token_hash":
        taken = other.token_hash
        other.delete()
        ApiToken.objects.filter(pk=client.token.pk).update(token_hash=taken)
        client.secret = secret
    elif field == "revoked_at":
        client.post("/me/token/revoke")
        ApiToken.objects.filter(pk=client.token.pk).update(revoked_at=None)
    else:
        value = {
            "scopes": [Scope.AUDIT_READ],
            "expires_at": timezone.now() + timedelta(days=3650),
            "user_id": admin_user.pk,
            "is_agent": True,
        }[field]
        ApiToken.objects.filter(pk=client.token.pk).update(**{field: value})
    assert client.get("/me").status_code == 401


def test_nobody_sees_or_revokes_the_token_of_another(member_client, admin_client):
    token, _ = make_token(UserFactory(), name="of-another")
    assert "of-another" not in member_client.get("/account/tokens/").content.decode()
    assert member_client.post(f"/account/tokens/{token.pk}/revoke/").status_code == 404
    assert "of-another" in admin_client.get("/users/tokens/").content.decode()
    admin_client.post(f"/users/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert Event.objects.filter(event=EventName.TOKEN_REVOKE).exists()


def test_use_is_noted_in_steps_of_five_minutes(api_of):
    client = api_of(UserFactory())
    with time_machine.travel("2026-11-30 10:03:20+00:00", tick=False):
        client.token.expires_at = timezone.now() + timedelta(days=1)
        client.token.sign().save()
        client.get("/me")
    client.token.refresh_from_db()
    assert f"{client.token.last_used_at:%H:%M:%S}" == "10:00:00"


def test_too_many_calls_in_a_minute_are_refused(api_of, monkeypatch):
    monkeypatch.setattr("apono_portal.api.authentication.CALLS_PER_MINUTE", 2)
    client = api_of(UserFactory())
    with time_machine.travel(timezone.now().replace(second=20), tick=False):
        statuses = [client.get("/me").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert client.get("/me").headers["Retry-After"] == "40"
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        assert client.get("/me").status_code == 200


def test_a_session_cookie_means_nothing_to_the_api(admin_client):
    assert admin_client.get("/api/v1/me").status_code == 401
    body = {"targets": [1], "duration": "1h"}
    response = admin_client.post("/api/v1/requests", body, content_type="application/json")
    assert response.status_code == 401
