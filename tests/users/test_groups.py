"""The page of a group: members first, and who may change them."""

import pytest

from accessflows.models import AccessFlow
from apono_portal.scim.models import Directory, ScimGroup
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from audit.models import Event
from mfa.exceptions import NotAllowed
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory, set_requesters
from tests.forms import post_form
from tests.users.test_users import by

pytestmark = pytest.mark.django_db


def url_of(group, rest: str = "") -> str:
    return f"/users/groups/{group.pk}/{rest}"


def managed_group(**fields):
    group = GroupFactory(**fields)
    ScimGroup.objects.create(directory=Directory.objects.create(name="Okta"), group=group)
    return group


def test_members_are_searched_and_others_are_not_listed(auditor_client):
    group = GroupFactory(members=[UserFactory(name="Petra Novak"), UserFactory(name="Mei Tanaka")])
    UserFactory(name="Petra Stranger")
    page = auditor_client.get(url_of(group), {"q": "petra"}).text
    assert "Petra Novak" in page
    assert "Mei Tanaka" not in page
    assert "Petra Stranger" not in page
    assert "2 members" in page


def test_a_page_of_members_costs_the_same_whatever_the_size(admin_client, questions_of):
    group = GroupFactory(members=UserFactory.create_batch(2))
    few = questions_of(admin_client, url_of(group))
    group.user_set.add(*UserFactory.create_batch(26))
    assert questions_of(admin_client, url_of(group)) <= few + 1  # the users that follow
    page = admin_client.get(url_of(group))
    following = admin_client.get(url_of(group), {"after": page.context["page"].after})
    shown = {member.user for member in page.context["page"].members}
    assert len(shown) == 25
    assert not shown & {member.user for member in following.context["page"].members}


def test_it_lists_the_flows_that_name_it(auditor_client):
    group = GroupFactory()
    requestable = AccessFlowFactory(name="Billing read")
    set_requesters(requestable, groups=[group])
    AccessFlowFactory(
        name="Billing write", approval=AccessFlow.Approval.ANY_OF, approver_groups=[group]
    )
    AccessFlowFactory(name="Orders")
    page = auditor_client.get(url_of(group)).context["page"]
    assert [(one.flow.name, one.role) for one in page.flows] == [
        ("Billing read", "Requesters"),
        ("Billing write", "Approvers"),
    ]


def test_members_are_added_by_the_picker_and_removed(admin_client):
    group, user = GroupFactory(), UserFactory(name="Petra Novak", email="petra@example.org")
    search = {"step": "find", "find-members": "petra"}
    searched = post_form(admin_client, url_of(group, "members/add/"), search)
    assert f'value="{user.pk}"' in searched.text
    assert not group.user_set.exists()
    post_form(admin_client, url_of(group, "members/add/"), {"members": [user.pk]})
    assert group.user_set.get() == user
    assert Event.objects.get(event="group:change").metadata["joined"] == ["petra@example.org"]
    admin_client.post(url_of(group, f"members/{user.pk}/remove/"))
    assert not group.user_set.exists()
    assert Event.objects.filter(event="group:change").first().metadata["left"] == [user.email]


def test_what_changes_nothing_is_not_recorded(admin_user):
    user = UserFactory()
    group = GroupFactory(members=[user])
    assert services.add_group_members(**by(admin_user), group=group, users=[user]) == []
    other = UserFactory()
    assert not services.remove_group_member(**by(admin_user), group=group, user=other)
    seen = services.group_name_digest(group)
    services.rename_group(**by(admin_user), group=group, name=group.name, seen=seen)
    assert not Event.objects.exists()


@pytest.mark.parametrize("members", [[], ["x"], ["9" * 19], ["999999"]])
def test_nobody_sensible_chosen_adds_nobody(admin_client, members):
    group = GroupFactory()
    answer = post_form(admin_client, url_of(group, "members/add/"), {"members": members})
    assert answer.status_code == 422
    assert not group.user_set.exists()


def test_a_group_of_a_directory_is_read_only_and_says_why(admin_client, admin_user):
    user, member = UserFactory(), UserFactory()
    group = managed_group(members=[member])
    page = admin_client.get(url_of(group)).text
    assert "Okta manages this group" in page
    for word in ("Add members", "Rename", "Remove"):
        assert word not in page
    for rest in ("members/add/", "edit/"):
        assert admin_client.get(url_of(group, rest)).status_code == 302
    admin_client.post(url_of(group, "members/add/"), {"members": [user.pk]})
    admin_client.post(url_of(group, f"members/{member.pk}/remove/"))
    assert group.user_set.get() == member
    with pytest.raises(UserError, match="Okta manages"):
        services.add_group_members(**by(admin_user), group=group, users=[user])


def test_only_admins_change_members(auditor_client, member_client, auditor_user):
    user = UserFactory()
    group = GroupFactory(members=[user])
    assert "Add members" not in auditor_client.get(url_of(group)).text
    assert member_client.get(url_of(group)).status_code == 404
    for client in (auditor_client, member_client):
        for rest in ("edit/", "members/add/", f"members/{user.pk}/remove/"):
            assert client.post(url_of(group, rest)).status_code == 404
    with pytest.raises(NotAllowed):
        services.remove_group_member(**by(auditor_user), group=group, user=user)
    assert group.user_set.get() == user
