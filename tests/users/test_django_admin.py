"""Django admin: behind the verified window, read-only but for services."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.urls import reverse

from apono_portal.users.models import Role, User
from audit.models import Event
from tests.factories import (
    BROKER_PASSWORD,
    AccessFlowFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
)
from tests.forms import post_form

pytestmark = pytest.mark.anywhere

WRITABLE = {User, Group}
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = {
    *("users", "notifications", "sso", "scim", "api", "auth"),
    *("accessflows", "requests_app", "mfa", "audit"),
}


def address(model, action, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}", args=args)


@pytest.fixture
def ada(admin_user, verified):
    """An admin with an open window."""
    return verified(admin_user)


@pytest.fixture
def rows(db):
    """At least one row of most models."""
    flow = AccessFlowFactory(targets=1)
    GrantFactory(request__flow=flow)
    DecisionFactory()
    GroupFactory()
    AuthenticatorFactory()


def test_only_our_models_are_registered():
    assert {model._meta.app_label for model in MODELS} <= OURS


def test_every_list_and_row_opens(ada, rows):
    for model in MODELS:
        assert ada.get(address(model, "changelist"), {"q": "a"}).status_code == 200, model
        for row in model._default_manager.all()[:3]:
            assert ada.get(address(model, "change", row.pk)).status_code == 200, model


def test_nothing_can_be_deleted(ada, rows):
    deletion = {"action": "delete_selected"}
    for model in MODELS:
        before = model._default_manager.count()
        for row in model._default_manager.all()[:1]:
            answer = post_form(ada, address(model, "delete", row.pk), {"post": "yes"})
            assert answer.status_code == 403, model
            selected = deletion | {"_selected_action": row.pk}
            post_form(ada, address(model, "changelist"), selected)
        assert model._default_manager.count() == before, model


@pytest.mark.parametrize(
    "model", [m for m in MODELS if m not in WRITABLE], ids=lambda model: model._meta.label
)
def test_other_models_are_read_only(ada, rows, model):
    assert ada.get(address(model, "add")).status_code == 403
    for row in model._default_manager.all()[:1]:
        assert post_form(ada, address(model, "change", row.pk), {"name": "x"}).status_code == 403


@pytest.mark.parametrize("role", ["admin", "auditor", "member"])
def test_admin_needs_an_open_window(db, signed_in, role):
    response = signed_in(UserFactory(role=role)).get("/admin/")
    assert response.status_code in {302, 404}


def test_no_page_shows_a_secret(ada, rows):
    user = UserFactory()
    device = AuthenticatorFactory(user=user)
    for model in MODELS:
        for row in model._default_manager.all()[:5]:
            page = ada.get(address(model, "change", row.pk)).content.decode()
            for secret in (device.key, "siv1.", BROKER_PASSWORD, user.password, "md5$"):
                assert secret not in page, model


def test_history_comes_from_the_audit_log(ada, admin_user):
    user, group = UserFactory(), GroupFactory()
    post_form(ada, address(User, "change", user.pk), {"name": "N", "role": "auditor"})
    page = ada.get(address(User, "history", user.pk)).content.decode()
    event = Event.objects.get(event="user:change")
    assert event.get_event_display() in page
    assert f"/audit-log/?before={event.pk + 1}&amp;open={event.pk}#e{event.pk}" in page
    assert "No events recorded." in ada.get(address(Group, "history", group.pk)).content.decode()
    assert not LogEntry.objects.exists()


def test_every_history_opens(ada, rows):
    for model in MODELS:
        for row in model._default_manager.all()[:1]:
            assert ada.get(address(model, "history", row.pk)).status_code == 200, model


def test_user_is_changed_through_the_service(ada, admin_user):
    user, group = UserFactory(), GroupFactory()
    data = {"name": "Renamed", "role": "auditor", "groups": [group.pk]}
    assert post_form(ada, address(User, "change", user.pk), data).status_code == 302
    user.refresh_from_db()
    assert (user.name, user.role) == ("Renamed", "auditor")
    assert list(user.groups.all()) == [group]
    event = Event.objects.get(event="user:change")
    assert (event.actor_id, event.target_id) == (admin_user.pk, str(user.pk))


def test_fields_outside_the_form_are_ignored(ada):
    user = UserFactory()
    extra = {
        "email": "x@x.example",
        "password": "x",
        "is_active": "",
        "last_login_0": "2001-01-01",
    }
    post_form(ada, address(User, "change", user.pk), {"name": "N", "role": "member"} | extra)
    fresh = User.objects.get(pk=user.pk)
    assert (fresh.email, fresh.password, fresh.is_active) == (user.email, user.password, True)


def test_last_admin_cannot_be_demoted(ada, admin_user):
    data = {"name": "Ada", "role": "member"}
    page = post_form(
        ada, address(User, "change", admin_user.pk), data, follow=True
    ).content.decode()
    admin_user.refresh_from_db()
    assert "last active admin" in page
    assert admin_user.role == Role.ADMIN


def test_users_cannot_be_added(ada):
    assert ada.get(address(User, "add")).status_code == 403


def test_group_is_saved_through_the_service(ada):
    user = UserFactory(email="petra@example.org")
    post_form(ada, address(Group, "add"), {"name": "Storekeepers", "members": [user.pk]})
    group = Group.objects.get()
    assert list(group.user_set.all()) == [user]
    post_form(ada, address(Group, "change", group.pk), {"name": "Keepers", "members": []})
    group.refresh_from_db()
    assert group.name == "Keepers"
    assert not group.user_set.exists()
    assert Event.objects.filter(event="group:change").count() == 2


def test_password_page_redirects_to_the_portal(ada):
    assert ada.get("/admin/password_change/").headers["Location"] == "/account/password/"


def test_sign_in_redirects_to_the_portal(client, db):
    response = post_form(client, "/admin/login/", {"username": "a", "password": "b"})
    assert response.headers["Location"].startswith("/sign-in/")
