"""Every way to change how somebody signs in needs MFA of an enrolled user, on the page and in the service."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from apono_portal.sso.identities import connect_identity
from apono_portal.sso.models import ExternalIdentity
from apono_portal.sso.pending_connection import PendingConnection
from apono_portal.users import services
from apono_portal.users.models import User
from apono_portal.users.reset_tokens import reset_token_generator
from apono_portal.users.services.passwords import link_to_set_password
from mfa.enrolment.recovery_codes import make_recovery_codes, replace_recovery_codes
from mfa.enrolment.services import begin_set_up
from mfa.exceptions import MalformedCode, MfaError
from mfa.models import Authenticator, RecoveryCode, TrustedBrowser
from mfa.verification.trusted_browsers import forget_browser, trust_browser
from tests.architecture.test_urls import VIEWS
from tests.factories import (
    PASSWORD,
    AuthenticatorFactory,
    IdentityProviderFactory,
    UserFactory,
    code_for,
)

NEW = "another-horse-battery-staple"
NEW_TWICE = {"new_password1": NEW, "new_password2": NEW}


def state_of(user: User) -> dict[str, Any]:
    """Return all that decides how a user signs in."""
    return {
        "user": User.objects.filter(pk=user.pk).values("password", "email", "role").get(),
        "authenticators": list(Authenticator.objects.of(user.pk).values("pk", "key", "confirmed")),
        "recovery codes": list(RecoveryCode.objects.filter(user=user).values("pk", "used_at")),
        "providers": list(ExternalIdentity.objects.filter(user=user).values("pk")),
        "browsers": list(TrustedBrowser.objects.filter(user=user).values("pk")),
    }


@pytest.fixture
def owner(db: None) -> User:
    """An enrolled account admin, so that the doors of admins to themselves are tried as well."""
    user: User = UserFactory(admin=True)
    AuthenticatorFactory(user=user)
    replace_recovery_codes(user_id=user.pk)
    trust_browser(state=user.mfa_state, client_info=SYSTEM, now=user.created_at)
    return user


@dataclass(frozen=True)
class Page:
    """A page, and what a thief who has the password posts there."""

    name: str
    data: dict[str, str]
    arguments: Callable[[User], list[Any]] = lambda user: []


def _itself(user: User) -> list[Any]:
    return [user.pk]


PAGES = [
    Page("users:password", {"old_password": PASSWORD, **NEW_TWICE}),
    Page("requests:set_up", {}),
    Page("requests:confirm_set_up", {"code": "123456"}),
    Page("requests:confirm_password", {"password": PASSWORD}),
    Page("mfa:add_passkey", {}),
    Page("mfa:passkey_registration_options", {}),
    Page("mfa:new_recovery_codes", {}),
    Page("mfa:remove_method", {}, lambda user: ["code", Authenticator.objects.get(user=user).pk]),
    Page("mfa:recovery_codes", {}),
    Page("mfa:forget_browser", {}, lambda user: [user.trusted_browsers.get().pk]),
    Page("mfa:lift_lockout", {"reason": "Mine"}, _itself),
    Page("users:reset_mfa", {"reason": "Mine", "require_new_password": "on"}, _itself),
    Page("users:invite", {}, _itself),
    Page("users:edit", {"name": "Thief", "role": "member"}, _itself),
    Page("users:deactivate", {}, _itself),
    Page("admin:users_user_change", {"name": "Thief", "role": "member"}, _itself),
    Page("admin_password", {"old_password": PASSWORD, **NEW_TWICE}),
]
# What changes nothing about how somebody signs in, or is no door to an enrolled user.
NO_DOORS = {"mfa:passkey_options", "mfa:rename_method", "mfa:codes_saved",
            "users:well_known_password", "users:vouch_for_passkey", "mfa:security", "mfa:close_window", "mfa:lockouts", "users:sign_in", "users:sign_out",
            "users:theme", "users:time_zone", "users:list", "users:detail", "users:group", "users:create", "users:remind", "users:reactivate",
            "users:end_device", "users:end_other_devices", "users:end_device_of_user",
            "users:end_devices_of_user", "users:forgot_password", "users:reset_link_sent",
            "users:groups", "users:create_group", "users:edit_group", "users:add_group_members", "users:import", "users:apply_import",
            "users:deactivate_selected", "users:reset_mfa_of_selected", "users:add_selected_to_group", "users:remove_group_member", "admin_sign_in", "admin_sign_out"}  # fmt: skip
SET_UP = {"requests:set_up", "requests:confirm_set_up", "requests:confirm_password"}
BY_LINK = {"users:set_password", "users:reset_password"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_thief_with_the_password_changes_nothing(owner, signed_in, page):
    before = state_of(owner)
    client = signed_in(owner)
    session = client.session
    session["signed_in_at"] = "2000-01-01T00:00:00+00:00"
    session.save()
    client.post(reverse(page.name, args=page.arguments(owner)), page.data)
    assert state_of(owner) == before


def test_every_page_about_signing_in_is_listed():
    own = {
        name
        for name in VIEWS
        if name.split(":")[0] in {"users", "mfa"} or name.startswith("admin_") or name in SET_UP
    }
    assert own - NO_DOORS - BY_LINK == {page.name for page in PAGES} - {"admin:users_user_change"}


def connect(user: User) -> None:
    """Connect the account with a sign-in at a provider, with the password entered just now."""
    provider = IdentityProviderFactory()
    pending = PendingConnection(provider.pk, provider.name, "thief", user.email, time.time())
    connect_identity(
        user=user,
        pending=pending,
        window=None,
        password_proven_at=timezone.now(),
        client_info=SYSTEM,
    )


SERVICES: dict[str, Callable[[User], Any]] = {
    "change the password": lambda user: services.change_password(
        user=user, window=None, password=NEW, client_info=SYSTEM
    ),
    "set the password by link": lambda user: services.set_password(
        user=user, token=default_token_generator.make_token(user), password=NEW, client_info=SYSTEM
    ),
    "reset the password by link": lambda user: services.set_password(
        user=user,
        token=reset_token_generator.make_token(user),
        tokens=reset_token_generator,
        password=NEW,
        client_info=SYSTEM,
    ),
    "make recovery codes": lambda user: make_recovery_codes(
        user=user, window=None, client_info=SYSTEM
    ),
    "forget a browser": lambda user: forget_browser(
        user=user, browser_id=user.trusted_browsers.get().pk, window=None, client_info=SYSTEM
    ),
    "set up again": lambda user: begin_set_up(
        user=user, password_proven_at=user.created_at, client_info=SYSTEM
    ),
    "reset": lambda user: services.reset_mfa_of_user(
        actor=user, window=None, user=user, reason="Mine", revoke_access=False, client_info=SYSTEM
    ),
    "connect single sign-on": lambda user: connect(user),
    "issue a link": lambda user: services.invite_user(
        actor=user, window=None, user=user, client_info=SYSTEM
    ),
}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_a_service_refuses_without_a_window(owner, service):
    before = state_of(owner)
    with pytest.raises(MfaError):
        service(owner)
    assert state_of(owner) == before


def open_link(user: User) -> tuple[Client, str]:
    client = Client()
    opened = client.get(link_to_set_password(user).removeprefix("http://localhost"), follow=True)
    return client, opened.redirect_chain[-1][0]


@pytest.mark.parametrize("code", ["", "000000", "no code at all"])
def test_a_link_alone_sets_no_password_of_an_enrolled_user(owner, code):
    before = state_of(owner)
    client, form = open_link(owner)
    assert client.post(form, {**NEW_TWICE, "code": code}).status_code == 422
    assert state_of(owner) == before


def test_a_link_with_a_code_sets_the_password(db):
    device = AuthenticatorFactory()
    client, form = open_link(device.user)
    answer = client.post(form, {**NEW_TWICE, "code": code_for(device)})
    assert answer.headers["Location"] == "/sign-in/"
    assert User.objects.get(pk=device.user.pk).check_password(NEW)
    assert f"trusted-browser-{device.user.pk}" in answer.cookies


def test_a_link_with_a_recovery_code_sets_the_password(db):
    device = AuthenticatorFactory()
    code = replace_recovery_codes(user_id=device.user.pk)[0]
    client, form = open_link(device.user)
    assert client.post(form, {**NEW_TWICE, "code": code}).status_code == 302
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1


def test_a_code_is_not_spent_on_passwords_that_are_refused(db):
    device = AuthenticatorFactory()
    client, form = open_link(device.user)
    code = code_for(device)
    refused = client.post(form, {"new_password1": NEW, "new_password2": "other", "code": code})
    assert refused.status_code == 422
    assert client.post(form, {**NEW_TWICE, "code": code}).status_code == 302


def test_guessing_codes_with_a_link_ends_after_five(owner):
    client, form = open_link(owner)
    answers = [client.post(form, {**NEW_TWICE, "code": "000000"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [422] * 4 + [302]
    client, form = open_link(owner)
    assert (
        "Too many incorrect codes"
        in client.post(form, {**NEW_TWICE, "code": "000000"}).content.decode()
    )


def test_window_that_closed_meanwhile_keeps_what_was_typed(owner, signed_in):
    data = {"old_password": PASSWORD, **NEW_TWICE}
    client = signed_in(owner)
    answer = client.post(reverse("users:password"), data)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "Verify in a new tab" in page
    assert page.count(f'value="{NEW}"') == 2
    assert "no-store" in answer.headers["Cache-Control"]
    assert NEW not in str(dict(client.session.items()))


def test_page_leads_to_the_verification_first(owner, signed_in):
    answer = signed_in(owner).get(reverse("users:password"))
    assert answer.headers["Location"] == "/account/step-up/?next=%2Faccount%2Fpassword%2F"


def test_link_of_a_user_without_mfa_asks_for_no_code(db):
    client, form = open_link(user := UserFactory())
    assert client.post(form, NEW_TWICE).status_code == 302
    assert User.objects.get(pk=user.pk).check_password(NEW)


def test_a_link_issued_before_the_set_up_needs_a_code_after_it(db):
    user = UserFactory()
    client, form = open_link(user)
    token = default_token_generator.make_token(user)
    AuthenticatorFactory(user=user)
    assert client.post(form, NEW_TWICE).status_code == 422
    with pytest.raises(MalformedCode):
        services.set_password(user=user, token=token, password=NEW, client_info=SYSTEM)
