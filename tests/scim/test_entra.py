"""What Entra ID sends, in its shapes."""

import pytest
from django.contrib.auth.models import Group

from apono_portal.scim.models import ScimUser
from apono_portal.users.models import User
from tests.scim.conftest import ENTERPRISE


@pytest.fixture
def bob(okta):
    return okta.add_user(
        "bob@corp.local",
        externalId="bob",
        emails=[{"primary": True, "type": "work", "value": "bob@corp.local"}],
        **{ENTERPRISE: {"department": "IT"}},
    )


def test_the_connection_test_finds_nobody(okta):
    response = okta.send("GET", '/Users?filter=userName+eq+"2819c223-7f76-453a-919d-413861904646"')
    assert (response.status_code, response.json()["totalResults"]) == (200, 0)


def test_active_as_text_deactivates(okta, bob):
    response = okta.patch(
        f"/Users/{bob['id']}", {"op": "Replace", "path": "active", "value": "False"}
    )
    assert response.status_code in {200, 204}
    assert not User.objects.get().is_active


def test_several_attributes_in_one_patch(okta, bob):
    response = okta.patch(
        f"/Users/{bob['id']}",
        {"op": "Replace", "path": "displayName", "value": "Bob Baker"},
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "b.baker@corp.local"},
        {"op": "Add", "path": 'addresses[type eq "work"].country', "value": "NO"},
        {"op": "Replace", "path": f"{ENTERPRISE}:department", "value": "Finance"},
    )
    assert response.status_code in {200, 204}, response.content
    user = User.objects.get()
    assert (user.name, user.email) == ("Bob Baker", "b.baker@corp.local")
    assert ScimUser.objects.get().document[ENTERPRISE]["department"] == "Finance"


def test_a_member_named_in_the_value_is_removed_and_nobody_else(okta, bob):
    other = okta.add_user("omar@corp.local")
    group = okta.add_group("Billing", bob, other)
    response = okta.patch(
        f"/Groups/{group['id']}",
        {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": bob["id"]}]},
    )
    assert response.status_code in {200, 204}, response.content
    assert [user.email for user in Group.objects.get().user_set.all()] == ["omar@corp.local"]


def test_a_group_is_found_without_its_members(okta, bob):
    okta.add_group("Billing", bob)
    path = '/Groups?excludedAttributes=members&filter=displayName+eq+"Billing"'
    [group] = okta.send("GET", path).json()["Resources"]
    assert "members" not in group


def test_membership_is_asked_for_with_both_ids(okta, bob):
    group = okta.add_group("Billing", bob)
    for member, total in ((bob["id"], 1), (group["id"], 0)):
        path = f'/Groups?filter=id+eq+"{group["id"]}"+and+members+eq+"{member}"'
        response = okta.send("GET", path)
        assert (response.status_code, response.json().get("totalResults")) == (200, total)


def test_the_external_id_is_case_sensitive(okta, bob):
    assert okta.send("GET", '/Users?filter=externalId+eq+"bob"').json()["totalResults"] == 1
    assert okta.send("GET", '/Users?filter=externalId+eq+"BOB"').json()["totalResults"] == 0
