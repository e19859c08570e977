"""What Okta sends, in its shapes, and what it means for the portal."""

from typing import Any

import pytest
from django.contrib.auth.models import Group

from accessflows.models import AccessFlow
from apono_portal.users.models import DeactivatedBy, Role, User
from audit.events import EventName
from audit.models import Delivery, Event
from mfa.models import MfaState
from requests_app.models import GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    requester_groups_of,
)
from tests.scim.conftest import ENTERPRISE, GROUP, USER, DirectoryClient

DEACTIVATE = {"op": "replace", "value": {"active": False}}
ACTIVATE = {"op": "replace", "value": {"active": True}}


def hannah(**attributes: Any) -> dict[str, Any]:
    return {
        "schemas": [USER],
        "userName": "hannah@corp.internal",
        "name": {"givenName": "Hannah", "familyName": "Fischer"},
        "emails": [{"primary": True, "value": "Hannah@corp.internal", "type": "work"}],
        "displayName": "Hannah Fischer",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
        **attributes,
    }


@pytest.fixture
def account(okta: DirectoryClient) -> dict[str, Any]:
    response = okta.send("POST", "/Users", hannah())
    assert response.status_code == 201, response.content
    return dict(response.json())


def of(account: dict[str, Any]) -> User:
    return User.objects.get(scim_user=account["id"])


def test_okta_looks_a_user_up_before_adding(okta):
    response = okta.send(
        "GET", '/Users?filter=userName%20eq%20"x@y.example"&startIndex=1&count=100'
    )
    assert response.status_code == 200
    assert response.json()["totalResults"] == 0


def test_a_user_becomes_a_member_without_a_password(okta, account):
    user = of(account)
    assert (user.email, user.name, user.role) == (
        "hannah@corp.internal",
        "Hannah Fischer",
        "member",
    )
    assert not user.has_usable_password()
    assert "1mz050nq" not in str(user.scim_user.document)
    event = Event.objects.get(event=EventName.USER_CREATE)
    assert event.actor_label == "Okta (SCIM)"
    assert event.metadata["directory"] == "Okta"


def test_the_user_is_found_in_any_case_by_name_and_id(okta, account):
    for text in ('userName eq "HANNAH@corp.internal"', f'id eq "{account["id"]}"'):
        found = okta.send("GET", "/Users?filter=" + text.replace(" ", "%20")).json()
        assert [user["id"] for user in found["Resources"]] == [account["id"]]


def test_a_second_user_of_that_name_is_refused(okta, account):
    response = okta.send("POST", "/Users", hannah(userName="HANNAH@CORP.internal"))
    assert (response.status_code, response.json()["scimType"]) == (409, "uniqueness")


def test_deactivation_ends_sessions_requests_and_access(okta, account, signed_in):
    user = of(account)
    browser, epoch = signed_in(user), user.mfa_epoch
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    pending = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
    active = AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    grant = GrantFactory(request=active)
    assert okta.patch(f"/Users/{account['id']}", DEACTIVATE).status_code in {200, 204}
    assert browser.get("/").headers["Location"].startswith("/sign-in/")
    pending.refresh_from_db(), active.refresh_from_db(), grant.refresh_from_db()
    assert (pending.status, active.status) == (Status.CANCELLED, Status.REVOKING)
    assert grant.state == GrantState.REVOKING
    assert MfaState.objects.get(user=user).epoch > epoch
    assert "Okta deactivated the user." in active.message
    event = Event.objects.get(event=EventName.USER_DEACTIVATE)
    assert (event.actor_label, event.metadata["token"]) == ("Okta (SCIM)", "…ests")


def test_a_put_deactivates_and_activates_too(okta, account):
    okta.send("PUT", f"/Users/{account['id']}", hannah(active=False))
    assert not of(account).is_active
    okta.send("PUT", f"/Users/{account['id']}", hannah())
    assert of(account).is_active


def test_a_local_deactivation_is_not_undone_by_the_directory(okta, account):
    User.objects.filter(pk=of(account).pk).update(
        is_active=False, deactivated_by=DeactivatedBy.ADMIN
    )
    response = okta.send("PUT", f"/Users/{account['id']}", hannah())
    assert response.json()["active"] is False
    assert not of(account).is_active


def test_the_last_admin_stays(okta):
    admin = UserFactory(admin=True, email="root@corp.internal")
    linked = okta.add_user("root@corp.internal")
    response = okta.patch(f"/Users/{linked['id']}", DEACTIVATE)
    assert response.status_code == 403
    assert "last active admin" in response.json()["detail"]
    assert okta.send("DELETE", f"/Users/{linked['id']}").status_code == 403
    admin.refresh_from_db()
    assert admin.is_active
    assert okta.send("GET", f"/Users/{linked['id']}").json()["active"] is True


def test_a_local_user_is_linked_by_email_and_keeps_role_and_groups(okta):
    local = UserFactory(role=Role.AUDITOR, email="audrey@corp.internal", groups=[])
    okta.add_user("Audrey@corp.internal", roles=[{"value": "admin"}])
    local.refresh_from_db()
    assert local.role == Role.AUDITOR
    assert local.scim_user.directory.name == "Okta"


@pytest.mark.parametrize("field", ["is_break_glass", "is_service"])
def test_an_account_that_must_outlive_the_directory_is_not_linked(okta, field):
    UserFactory(email="root@corp.internal", **{field: True})
    response = okta.send("POST", "/Users", hannah(emails=[], userName="root@corp.internal"))
    assert response.status_code == 409
    assert okta.send("GET", "/Users").json()["totalResults"] == 0


def test_a_new_email_is_reported_to_the_former_address(okta, account):
    changed = hannah(emails=[{"primary": True, "value": "h.maier@corp.internal"}])
    okta.send("PUT", f"/Users/{account['id']}", changed)
    assert of(account).email == "h.maier@corp.internal"
    assert Delivery.objects.filter(recipient="hannah@corp.internal").exists()


def test_a_deleted_user_is_deactivated_and_may_come_back(okta, account):
    user = of(account)
    assert okta.send("DELETE", f"/Users/{account['id']}").status_code == 204
    assert okta.send("GET", f"/Users/{account['id']}").status_code == 404
    user.refresh_from_db()
    assert not user.is_active
    again = okta.send("POST", "/Users", hannah()).json()
    assert of(again) == user
    assert of(again).is_active


def test_members_are_added_removed_and_counted_once(okta, account):
    other = okta.add_user("omar@corp.internal")
    group = okta.add_group("Billing", account)
    path = f"/Groups/{group['id']}"
    okta.patch(path, {"op": "add", "path": "members", "value": [{"value": other["id"]}]})
    okta.patch(path, {"op": "remove", "path": f'members[value eq "{account["id"]}"]'})
    assert list(Group.objects.get().user_set.all()) == [of(other)]
    event = Event.objects.filter(event=EventName.GROUP_CHANGE).latest("pk")
    assert (event.metadata["joined"], event.metadata["left"]) == ([], ["hannah@corp.internal"])


def test_a_put_with_all_members_replaces_them(okta, account):
    other = okta.add_user("omar@corp.internal")
    group = okta.add_group("Billing", account)
    body = {"schemas": [GROUP], "displayName": "Billing", "members": [{"value": other["id"]}]}
    assert okta.send("PUT", f"/Groups/{group['id']}", body).status_code == 200
    assert list(Group.objects.get().user_set.all()) == [of(other)]


def test_okta_renames_a_group_with_its_id_in_the_value(okta):
    group = okta.add_group("Billing")
    rename = {"op": "replace", "value": {"id": group["id"], "displayName": "Finance"}}
    response = okta.patch(f"/Groups/{group['id']}", rename)
    assert response.status_code in {200, 204}, response.content
    assert Group.objects.get().name == "Finance"


def test_a_local_group_is_not_taken_over_by_its_name(okta, account):
    group = Group.objects.create(name="DBA approvers")
    body = {
        "schemas": [GROUP],
        "displayName": "dba Approvers",
        "members": [{"value": account["id"]}],
    }
    assert okta.send("POST", "/Groups", body).status_code == 409
    assert not group.user_set.exists()


def test_a_group_in_a_flow_is_emptied_and_kept_when_deleted(okta, account):
    group = okta.add_group("Billing", account)
    local = Group.objects.get()
    flow: AccessFlow = AccessFlowFactory(requester_groups=[local], targets=1)
    assert okta.send("DELETE", f"/Groups/{group['id']}").status_code == 204
    assert not local.user_set.exists()
    assert list(requester_groups_of(flow)) == [local]


def test_a_group_that_nothing_names_is_deleted(okta, account):
    group = okta.add_group("Billing", account)
    okta.send("DELETE", f"/Groups/{group['id']}")
    assert not Group.objects.exists()
    assert Event.objects.filter(event=EventName.GROUP_DELETE).exists()


def test_a_user_without_an_email_has_no_account_until_there_is_one(okta):
    user = okta.add_user("h.fischer", **{ENTERPRISE: {"department": "Finance"}})
    group = okta.add_group("Billing", user)
    assert not User.objects.exists()
    email = {"op": "add", "path": "emails", "value": [{"value": "h@corp.internal"}]}
    assert okta.patch(f"/Users/{user['id']}", email).status_code in {200, 204}
    assert of(user).groups.get().scim_group.pk.hex == group["id"].replace("-", "")
