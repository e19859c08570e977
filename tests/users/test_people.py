"""The Users tab: finding, adding, changing and deactivating people; groups."""

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
)


def html_of(answer):
    return answer.content.decode()


def rows(page):
    return re.findall(r'<span class="sub">([^<]+@[^<]+)</span></span></span></th>', page)


def by(actor):
    return {"actor": actor, "window": None, "client_info": SYSTEM}


# --- The list -----------------------------------------------------------------------------------


def test_the_list_is_searched_by_name_or_email(admin_client):
    UserFactory(name="Petra Person", email="pp@example.org")
    UserFactory(name="Quentin Other", email="petra.other@example.org")
    page = html_of(admin_client.get("/users/", {"q": "petra"}))
    assert 'aria-label="Search by name or email"' in page
    assert sorted(rows(page)) == ["petra.other@example.org", "pp@example.org"]


def test_a_green_check_says_who_has_mfa(admin_client):
    UserFactory(name="Without")
    enrolled = UserFactory(name="Petra Person")
    AuthenticatorFactory(user=enrolled)
    page = html_of(admin_client.get("/users/", {"q": "Petra"}))
    assert 'role="img" aria-label="MFA set up"' in page
    assert 'aria-label="Reset MFA for Petra Person"' in page
    page = html_of(admin_client.get("/users/", {"q": "Without"}))
    assert "Not set up" in page
    assert "Reset MFA for" not in page


def test_a_set_up_under_way_is_no_mfa(admin_client):
    AuthenticatorFactory(user=UserFactory(name="Halfway"), confirmed=False)
    assert "Reset MFA for" not in html_of(admin_client.get("/users/", {"q": "Halfway"}))


def test_the_list_says_when_somebody_last_verified(admin_client):
    at = timezone.now() - timedelta(days=2)
    person = UserFactory(name="Petra Person")
    VerificationFactory(user=person, at=at)
    VerificationFactory(user=person, outcome="bad")
    page = html_of(admin_client.get("/users/", {"q": "Petra"}))
    assert f'<time datetime="{at.isoformat()}"' in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("role=auditor", {"Aud"}),
        ("status=inactive", {"Gone"}),
        ("mfa=set_up", {"Enrolled"}),
        ("mfa=not&role=member", {"Gone"}),
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
def test_odd_filters_show_a_page(admin_client, query):
    assert admin_client.get(f"/users/?{query}").status_code == 200


def test_an_auditor_reads_the_list_and_is_offered_no_change(auditor_client):
    AuthenticatorFactory(user=UserFactory(name="Petra Person"))
    page = html_of(auditor_client.get("/users/"))
    assert "Petra Person" in page
    for word in ("Add person", "Reset MFA for", "/edit"):
        assert word not in page


def test_the_list_asks_as_many_questions_for_ten_as_for_many(admin_client, questions_of):
    group = GroupFactory()
    UserFactory.create_batch(10, groups=[group])
    few = questions_of(admin_client, "/users/")
    UserFactory.create_batch(290, groups=[group])
    assert questions_of(admin_client, "/users/") == few


# --- Adding and changing ------------------------------------------------------------------------


def test_an_admin_adds_a_person_who_then_sets_a_password(admin_client):
    group = GroupFactory()
    answer = admin_client.post(
        "/users/new/",
        {"email": "New@Example.org", "name": "New Person", "role": "member", "groups": [group.pk]},
    )
    person = User.objects.get(email="new@example.org")
    assert not person.has_usable_password()
    assert list(person.groups.all()) == [group]
    assert "/set-password/" in html_of(answer)
    assert Event.objects.filter(event="user:create", target_id=str(person.pk)).exists()


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
def test_bad_input_gets_a_sentence(admin_client, field, value):
    said = {"email": "new@example.org", "name": "New", "role": "member"}
    answer = admin_client.post("/users/new/", said | {field: value})
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in html_of(answer)
    assert User.objects.count() == 1


def test_fields_that_are_not_on_the_form_change_nothing(admin_client, member_user):
    smuggled = {
        "email": "x@x.example",
        "password": "x",
        "is_active": "",
        "is_staff": "1",
        "last_login": "",
    }
    admin_client.post(f"/users/{member_user.pk}/", {"name": "Max", "role": "member"} | smuggled)
    fresh = User.objects.get(pk=member_user.pk)
    assert (fresh.email, fresh.is_active, fresh.password) == (
        member_user.email,
        True,
        member_user.password,
    )


def test_a_change_is_recorded_with_its_difference(admin_client, member_user):
    admin_client.post(f"/users/{member_user.pk}/", {"name": "Max Member", "role": "auditor"})
    changes = Event.objects.get(event="user:change").metadata["changes"]
    assert changes == {"role": {"from": "member", "to": "auditor"}}


def test_a_demotion_counts_with_the_next_click(admin_client, signed_in):
    other = UserFactory(role=Role.ADMIN)
    client = signed_in(other)
    assert client.get("/users/").status_code == 200
    admin_client.post(f"/users/{other.pk}/", {"name": other.name, "role": "member"})
    assert client.get("/users/").url.startswith("/sign-in/")
    other.refresh_from_db()
    assert signed_in(other).get("/users/").status_code == 404


# --- Deactivating -------------------------------------------------------------------------------


def test_deactivating_ends_sessions_at_once_and_for_good(admin_client, member_user, signed_in):
    client = signed_in(member_user)
    admin_client.post(f"/users/{member_user.pk}/deactivate/")
    assert client.get("/account/password/").status_code == 302
    admin_client.post(f"/users/{member_user.pk}/reactivate/")
    assert client.get("/account/password/").status_code == 302


@pytest.mark.parametrize(
    ("status", "ends_as"),
    [(Status.ACTIVE, {Status.ENDING}), (Status.PENDING_APPROVAL, {Status.CANCELLED})],
)
def test_deactivating_ends_access(admin_client, member_user, status, ends_as):
    request = AccessRequestFactory(requester=member_user, status=status)
    if status == Status.ACTIVE:
        GrantFactory(request=request)
    admin_client.post(f"/users/{member_user.pk}/deactivate/")
    assert AccessRequest.objects.get(pk=request.pk).status in ends_as


def test_deactivating_asks_first(admin_client, member_user):
    page = html_of(admin_client.get(f"/users/{member_user.pk}/deactivate/"))
    member_user.refresh_from_db()
    assert "Every session ends" in page
    assert member_user.is_active


def test_the_last_admin_stays(admin_client, admin_user):
    UserFactory(role=Role.ADMIN, is_active=False)
    page = html_of(admin_client.post(f"/users/{admin_user.pk}/deactivate/", follow=True))
    demoted = admin_client.post(f"/users/{admin_user.pk}/", {"name": "Ada", "role": "member"})
    admin_user.refresh_from_db()
    assert "last active admin" in page
    assert demoted.status_code == 422
    assert admin_user.is_account_admin


def test_one_of_two_admins_may_go(admin_user):
    other = UserFactory(role=Role.ADMIN)
    assert services.deactivate_user(**by(admin_user), user=other)
    assert not services.deactivate_user(**by(admin_user), user=other)


@pytest.mark.parametrize(("role", "ends"), [(Role.AUDITOR, True), (Role.MEMBER, False)])
def test_another_role_ends_the_persons_sessions_and_a_kept_one_does_not(db, signed_in, role, ends):
    person = UserFactory()
    browser = signed_in(person)
    services.change_user(
        **by(UserFactory(role=Role.ADMIN)), user=person, name="New name", role=role, groups=[]
    )
    assert (browser.get("/requests/").status_code == 302) is ends


@pytest.mark.parametrize("role", [Role.MEMBER, Role.AUDITOR])
@pytest.mark.django_db
def test_only_admins_write_people(role):
    actor, other = UserFactory(role=role), UserFactory()
    said = {"name": "X", "role": Role.ADMIN, "groups": []}
    for write in (
        lambda: services.create_user(**by(actor), email="x@example.org", **said),
        lambda: services.change_user(**by(actor), user=actor, **said),
        lambda: services.deactivate_user(**by(actor), user=other),
        lambda: services.reactivate_user(**by(actor), user=other),
        lambda: services.invite_user(**by(actor), user=other),
        lambda: services.create_group(**by(actor), name="G", members=[actor]),
    ):
        with pytest.raises(NotAllowed):
            write()
    assert not Event.objects.exists()


# --- Groups -------------------------------------------------------------------------------------


def test_a_group_is_added_and_filled(admin_client, member_user):
    admin_client.post("/users/groups/new/", {"name": "Storekeepers", "members": [member_user.pk]})
    group = Group.objects.get()
    assert list(group.user_set.all()) == [member_user]
    assert "Storekeepers" in html_of(admin_client.get("/users/groups/"))


def test_who_joins_and_leaves_is_recorded(admin_client, member_user):
    leaver = UserFactory(email="leaver@example.org")
    group = GroupFactory(name="Storekeepers", members=[leaver])
    admin_client.post(
        f"/users/groups/{group.pk}/", {"name": "Storekeepers", "members": [member_user.pk]}
    )
    said = Event.objects.get(event="group:change").metadata
    assert (said["joined"], said["left"]) == (["max@example.org"], ["leaver@example.org"])


def test_a_name_of_another_group_is_refused(admin_user):
    GroupFactory(name="One")
    group = GroupFactory(name="Two")
    with pytest.raises(UserError, match="Another group"):
        services.change_group(**by(admin_user), group=group, name="One", members=[])
    group.refresh_from_db()
    assert group.name == "Two"
