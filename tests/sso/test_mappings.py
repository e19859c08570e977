"""Groups and roles from claims: given, taken away, unknown, and never the last admin."""

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from apono_portal.sso.claims import groups_in
from apono_portal.users.models import Role, User
from audit.models import Event
from requests_app.grants.revocation import revoke_ineligible
from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GroupFactory, UserFactory
from tests.sso.conftest import is_signed_in


@pytest.fixture
def billing(provider) -> Group:
    group = GroupFactory(name="Billing engineers")
    provider.mappings.create(value="eng-billing", group=group)
    return group


def hannah() -> User:
    return User.objects.get(email="hannah@halden.example")


def test_mapped_groups_are_given_and_taken_away(client, come_back, billing):
    come_back(client, groups=["eng-billing", "all-staff"])
    assert list(hannah().groups.all()) == [billing]
    come_back(Client(), groups=["all-staff"])
    assert not hannah().groups.exists()
    changed = Event.objects.filter(event="user:change").latest("pk")
    assert changed.actor_label == "Okta"
    assert changed.metadata["changes"]["groups"] == {"from": ["Billing engineers"], "to": []}


def test_a_membership_of_the_portals_own_stays(client, come_back, billing):
    come_back(client)
    local = GroupFactory()
    hannah().groups.set([local, billing])
    come_back(Client(), groups=[])
    assert set(hannah().groups.all()) == {local, billing}


def test_too_many_groups_to_list_are_unknown_and_change_nothing(client, come_back, billing):
    come_back(client, groups=["eng-billing"])
    come_back(Client(), groups=None, _claim_names={"groups": "src1"})
    assert list(hannah().groups.all()) == [billing]
    assert (
        Event.objects.filter(event="session:sign_in").latest("pk").metadata["groups"] == "unknown"
    )


@pytest.mark.parametrize(
    ("claims", "groups"),
    [
        ({}, frozenset()),
        ({"groups": "one"}, frozenset({"one"})),
        ({"groups": ["one", 2, None]}, frozenset({"one"})),
        ({"groups": {"one": 1}}, None),
        ({"hasgroups": True}, None),
    ],
)
def test_the_shapes_of_a_groups_claim(claims, groups):
    assert groups_in(claims, "groups") == groups


def test_a_lost_group_revokes_access(client, come_back, billing):
    come_back(client, groups=["eng-billing"])
    flow = AccessFlowFactory(requester_groups=[billing], targets=1)
    request = AccessRequestFactory(requester=hannah(), flow=flow, status=Status.PENDING_APPROVAL)
    assert revoke_ineligible() == 0
    come_back(Client(), groups=[])
    assert revoke_ineligible() == 1
    assert AccessRequest.objects.get(pk=request.pk).status == Status.CANCELLED


def test_a_mapped_role_comes_and_goes_and_ends_other_sessions(client, come_back, provider):
    UserFactory(role=Role.ADMIN)
    provider.mappings.create(value="access-admins", role=Role.ADMIN)
    come_back(client)
    come_back(Client(), groups=["access-admins"])
    assert hannah().role == Role.ADMIN
    assert not is_signed_in(client)
    come_back(Client(), groups=[])
    assert hannah().role == Role.MEMBER


def test_a_role_of_the_portals_own_stays(client, come_back, provider):
    come_back(client)
    User.objects.update(role=Role.AUDITOR)
    come_back(Client(), groups=["anything"])
    assert hannah().role == Role.AUDITOR


def test_the_last_admin_stays_one(client, come_back, provider):
    provider.mappings.create(value="access-admins", role=Role.ADMIN)
    come_back(client, groups=["access-admins"])
    come_back(Client(), groups=[])
    assert hannah().role == Role.ADMIN
