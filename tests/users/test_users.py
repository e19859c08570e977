"""The Users tab: listing, adding, changing and deactivating users; groups."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import Role, User
from audit.models import Event
from mfa.exceptions import NotAllowed
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
    VerificationFactory,
    fresh_window,
)
from tests.forms import post_form


def html_of(response):
    return response.content.decode()


def emails_on(page):
    return re.findall(r'<span class="sub">([^<]+@[^<]+)</span></span></span></th>', page)


def by(actor):
    return {"actor": actor, "window": fresh_window(actor), "client_info": SYSTEM}


# --- The list -----------------------------------------------------------------------------------


def test_list_is_searched_by_name_or_email(admin_client):
    UserFactory(name="Petra Person", email="pp@example.org")
    UserFactory(name="Quentin Other", email="petra.other@example.org")
    page = html_of(admin_client.get("/users/", {"q": "petra"}))
    assert 'aria-label="Search by name or email"' in page
    assert sorted(emails_on(page)) == ["petra.other@example.org", "pp@example.org"]


def test_green_check_marks_users_with_mfa(admin_client):
    UserFactory(name="Without")
    enrolled = UserFactory(name="Petra Person")
    AuthenticatorFactory(user=enrolled)
    page = html_of(admin_client.get("/users/", {"q": "Petra"}))
    assert 'role="img" aria-label="MFA set up: Authenticator app"' in page
    assert 'aria-label="Reset MFA for Petra Person"' in page
    page = html_of(admin_client.get("/users/", {"q": "Without"}))
    assert "Not set up" in page
    assert "Reset MFA for" not in page


def test_unfinished_set_up_is_not_mfa(admin_client):
    AuthenticatorFactory(user=UserFactory(name="Halfway"), confirmed=False)
    assert "Reset MFA for" not in html_of(admin_client.get("/users/", {"q": "Halfway"}))


def test_list_shows_the_last_verification(admin_client):
    at = timezone.now() - timedelta(days=2)
    user = UserFactory(name="Petra Person")
    VerificationFactory(user=user, at=at)
    VerificationFactory(user=user, outcome="bad")
    page = html_of(admin_client.get("/users/", {"q": "Petra"}))
    assert f'<time datetime="{at.isoformat()}"' in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("role=auditor", {"Aud"}),
        ("status=inactive", {"Gone"}),
        ("mfa=set_up", {"Enrolled"}),
        ("mfa=not_set_up&role=member", {"Gone"}),
    ],
)
def test_filters_narrow_the_list(admin_client, query, names):
    UserFactory(name="Aud", role=Role.AUDITOR)
    UserFactory(name="Gone", is_active=False)
    AuthenticatorFactory(user=UserFactory(name="Enrolled"))
    page = html_of(admin_client.get(f"/users/?{query}"))
    shown = {name for name in ("Aud", "Gone", "Enrolled") if f">{name}</a>" in page}
    assert shown == names


@pytest.mark.parametrize(
    "query", ["q=%00", "role=x", "page=-3", "page=a", "mfa=1", "q=" + "x" * 500]
)
def test_invalid_filters_are_ignored(admin_client, query):
    assert admin_client.get(f"/users/?{query}").status_code == 200


def test_auditor_reads_the_list_only(auditor_client):
    AuthenticatorFactory(user=UserFactory(name="Petra Person"))
    page = html_of(auditor_client.get("/users/"))
    assert "Petra Person" in page
    for word in ("Add user", "Reset MFA for", "/edit"):
        assert word not in page


def test_query_count_does_not_depend_on_rows(admin_client, questions_of):
    group = GroupFactory()
    UserFactory.create_batch(30, groups=[group])
    few = questions_of(admin_client, "/users/")
    UserFactory.create_batch(270, groups=[group])
    assert questions_of(admin_client, "/users/") == few <= 15


# --- Adding and changing ------------------------------------------------------------------------


def test_admin_adds_a_user_and_gets_a_password_link(admin_client):
    group = GroupFactory()
    response = post_form(
        admin_client,
        "/users/new/",
        {"email": "New@Example.org", "name": "New User", "role": "member", "groups": [group.pk]},
    )
    user = User.objects.get(email="new@example.org")
    assert not user.has_usable_password()
    assert list(user.groups.all()) == [group]
    assert "/set-password/" in html_of(response)
    assert Event.objects.filter(event="user:create", target_id=str(user.pk)).exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "ada@example.org"),
        ("email", "ADA@example.org"),
        ("email", "no address"),
        ("email", "x" * 255 + "@example.org"),
        ("name", ""),
        ("name", "x" * 65),
        ("name", "two\nlines"),
        ("name", "hidden\u202ename"),
        ("role", "superuser"),
        ("groups", ["999999"]),
        ("groups", ["9" * 40]),
    ],
)
def test_invalid_field_is_marked(admin_client, field, value):
    data = {"email": "new@example.org", "name": "New", "role": "member"}
    response = post_form(admin_client, "/users/new/", data | {field: value})
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in html_of(response)
    assert User.objects.count() == 1


def test_fields_outside_the_form_are_ignored(admin_client, member_user):
    extra = {
        "email": "x@x.example",
        "password": "x",
        "is_active": "",
        "is_staff": "1",
        "last_login": "",
    }
    post_form(
        admin_client, f"/users/{member_user.pk}/edit/", {"name": "Max", "role": "member"} | extra
    )
    fresh = User.objects.get(pk=member_user.pk)
    assert (fresh.email, fresh.is_active, fresh.password) == (
        member_user.email,
        True,
        member_user.password,
    )


def test_change_is_recorded_with_old_and_new_value(admin_client, member_user):
    post_form(
        admin_client, f"/users/{member_user.pk}/edit/", {"name": "Max Member", "role": "auditor"}
    )
    changes = Event.objects.get(event="user:change").metadata["changes"]
    assert changes == {"role": {"from": "member", "to": "auditor"}}


def test_demotion_is_effective_at_once(admin_client, signed_in):
    other = UserFactory(role=Role.ADMIN)
    client = signed_in(other)
    assert client.get("/users/").status_code == 200
    post_form(admin_client, f"/users/{other.pk}/edit/", {"name": other.name, "role": "member"})
    assert client.get("/users/").url.startswith("/sign-in/")
    other.refresh_from_db()
    assert signed_in(other).get("/users/").status_code == 404


# --- Deactivating -------------------------------------------------------------------------------


def test_deactivation_ends_sessions_for_good(admin_client, member_user, signed_in):
    client = signed_in(member_user)
    post_form(admin_client, f"/users/{member_user.pk}/deactivate/")
    assert client.get("/account/password/").status_code == 302
    post_form(admin_client, f"/users/{member_user.pk}/reactivate/")
    assert client.get("/account/password/").status_code == 302


@pytest.mark.parametrize(
    ("status", "new_statuses"),
    [(Status.ACTIVE, {Status.REVOKING}), (Status.PENDING_APPROVAL, {Status.CANCELLED})],
)
def test_deactivation_revokes_access_and_cancels_requests(
    admin_client, member_user, status, new_statuses
):
    request = AccessRequestFactory(requester=member_user, status=status)
    if status == Status.ACTIVE:
        GrantFactory(request=request)
    post_form(admin_client, f"/users/{member_user.pk}/deactivate/")
    assert AccessRequest.objects.get(pk=request.pk).status in new_statuses


def test_deactivation_is_confirmed_first(admin_client, member_user):
    page = html_of(admin_client.get(f"/users/{member_user.pk}/deactivate/"))
    member_user.refresh_from_db()
    assert "Ends every session" in page
    assert member_user.is_active


def test_last_admin_cannot_be_deactivated_or_demoted(admin_client, admin_user):
    UserFactory(role=Role.ADMIN, is_active=False)
    page = html_of(post_form(admin_client, f"/users/{admin_user.pk}/deactivate/", follow=True))
    demoted = post_form(
        admin_client, f"/users/{admin_user.pk}/edit/", {"name": "Ada", "role": "member"}
    )
    admin_user.refresh_from_db()
    assert "last active admin" in page
    assert demoted.status_code == 422
    assert admin_user.is_account_admin


def test_one_of_two_admins_can_be_deactivated(admin_user):
    other = UserFactory(role=Role.ADMIN)
    assert services.deactivate_user(**by(admin_user), user=other)
    assert not services.deactivate_user(**by(admin_user), user=other)


@pytest.mark.parametrize(("role", "ends_sessions"), [(Role.AUDITOR, True), (Role.MEMBER, False)])
def test_only_a_change_of_role_ends_sessions(db, signed_in, role, ends_sessions):
    user = UserFactory()
    browser = signed_in(user)
    services.change_user(
        **by(UserFactory(role=Role.ADMIN)),
        user=user,
        name="New name",
        role=role,
        groups=[],
        seen=services.user_digest(user),
    )
    assert (browser.get("/requests/").status_code == 302) is ends_sessions


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.django_db
def test_only_admins_can_change_users(role):
    actor, other = UserFactory(role=role), UserFactory()
    fields = {"name": "X", "role": Role.ADMIN, "groups": []}
    for write in (
        lambda: services.create_user(**by(actor), email="x@example.org", **fields),
        lambda: services.change_user(**by(actor), user=actor, seen="", **fields),
        lambda: services.deactivate_user(**by(actor), user=other),
        lambda: services.reactivate_user(**by(actor), user=other),
        lambda: services.invite_user(**by(actor), user=other),
        lambda: services.create_group(**by(actor), name="G", members=[actor]),
    ):
        with pytest.raises(NotAllowed):
            write()
    assert not Event.objects.exists()


# --- Groups -------------------------------------------------------------------------------------


def test_group_is_added_with_members(admin_client, member_user):
    post_form(
        admin_client, "/users/groups/new/", {"name": "Storekeepers", "members": [member_user.pk]}
    )
    group = Group.objects.get()
    assert list(group.user_set.all()) == [member_user]
    assert "Storekeepers" in html_of(admin_client.get("/users/groups/"))


def test_group_name_must_be_unique(admin_user):
    GroupFactory(name="One")
    group = GroupFactory(name="Two")
    with pytest.raises(UserError, match="already exists"):
        services.change_group(
            **by(admin_user), group=group, name="One", members=[], seen=services.group_digest(group)
        )
    group.refresh_from_db()
    assert group.name == "Two"
