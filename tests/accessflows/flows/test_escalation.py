"""How many approvals, and further groups: who may decide then, and when it is enough."""

from datetime import timedelta
from types import SimpleNamespace

import pytest

from accessflows.exceptions import InvalidInput
from accessflows.flows.policies import approval_met, can_decide
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import AccessFlow
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory
from tests.forms import post_form, requester_fields

pytestmark = pytest.mark.django_db
ANY_OF, ALL_OF = AccessFlow.Approval.ANY_OF, AccessFlow.Approval.ALL_OF
RULES = ("approvals_required", "max_extensions", "extension_duration", "escalation_group_")
HALF_AN_HOUR = timedelta(minutes=30)


def approve(*approvers):
    return [SimpleNamespace(verdict="approve", approver_id=user.pk) for user in approvers]


def flow_asking(*groups, further=(), **fields):
    flow = AccessFlowFactory(
        approver_groups=[GroupFactory(members=members) for members in groups], **fields
    )
    for position, members in enumerate(further, start=1):
        group = GroupFactory(members=members)
        flow.escalation_tiers.create(position=position, wait=HALF_AN_HOUR, group=group)
    return flow


def test_two_of_a_group_are_two_members_of_the_same_group():
    one, two, other = UserFactory.create_batch(3)
    flow = flow_asking([one, two], [other], approval=ANY_OF, approvals_required=2)
    assert not approval_met(flow, approve(one))
    assert not approval_met(flow, approve(one, other))
    assert approval_met(flow, approve(one, two))


def test_two_of_each_group_are_four_or_who_is_in_both():
    one, two, three, both = UserFactory.create_batch(4)
    flow = flow_asking([one, two, both], [three, both], approval=ALL_OF, approvals_required=2)
    assert not approval_met(flow, approve(one, two, three))
    assert approval_met(flow, approve(one, three, both))


def test_approving_twice_is_one_approval():
    one, two = UserFactory.create_batch(2)
    flow = flow_asking([one, two], approval=ANY_OF, approvals_required=2)
    assert not approval_met(flow, approve(one, one))


def test_a_further_group_decides_once_escalated_and_not_before():
    owner, later, last = UserFactory.create_batch(3)
    flow = flow_asking([owner], approval=ANY_OF, further=[[later], [last]])
    for tier, expected in [(0, (False, False)), (1, (True, False)), (2, (True, True))]:
        decisions = [can_decide(flow, user, UserFactory(), tier=tier) for user in (later, last)]
        assert tuple(decisions) == expected
        met = [approval_met(flow, approve(user), tier=tier) for user in (later, last)]
        assert tuple(met) == expected
    assert can_decide(flow, owner, UserFactory(), tier=2)


def test_an_escalation_group_needs_as_many_approvals():
    owner, later, last = UserFactory.create_batch(3)
    flow = flow_asking([owner], approval=ANY_OF, approvals_required=2, further=[[later, last]])
    assert not approval_met(flow, approve(later), tier=1)
    assert approval_met(flow, approve(later, owner), tier=1)
    assert approval_met(flow, approve(later, last), tier=1)


def test_one_stand_in_stands_for_one_missing_group_only():
    one, two, later, last = UserFactory.create_batch(4)
    flow = flow_asking([one], [two], approval=ALL_OF, further=[[later, last]])
    assert not approval_met(flow, approve(later), tier=1)
    assert approval_met(flow, approve(later, two), tier=1)
    assert approval_met(flow, approve(later, last), tier=1)


def test_a_group_member_does_not_stand_in_for_another_group():
    one, two = UserFactory.create_batch(2)
    flow = flow_asking([one], [two], approval=ALL_OF, further=[[one]])
    assert not approval_met(flow, approve(one), tier=1)


def test_a_requester_in_a_further_group_decides_nothing():
    requester, owner = UserFactory.create_batch(2)
    flow = flow_asking([owner], approval=ANY_OF, further=[[requester]])
    assert not can_decide(flow, requester, requester, tier=1)
    assert not approval_met(flow, approve(requester), requester_id=requester.pk, tier=1)


def test_without_approvers_an_escalation_group_decides_nothing():
    later = UserFactory()
    for approval in (ANY_OF, ALL_OF):
        flow = flow_asking(approval=approval, further=[[later]])
        assert not approval_met(flow, approve(later), tier=1)


def invalid_rules(**changes):
    terms = {
        "name": "Orders",
        "targets": frozenset(),
        "max_duration": timedelta(hours=8),
        "approval": ANY_OF,
    }
    with pytest.raises(InvalidInput) as caught:
        check_terms(FlowInput(**(terms | changes)))
    return {field for field in caught.value.errors if field.startswith(RULES)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"approvals_required": 0}, "approvals_required"),
        ({"approvals_required": 11}, "approvals_required"),
        ({"approvals_required": 2, "approval": "automatic"}, "approvals_required"),
        ({"max_extensions": 11}, "max_extensions"),
        ({"extension_duration": timedelta(0)}, "extension_duration"),
        (
            {"max_extensions": 9, "extension_duration": timedelta(days=60)},
            "extension_duration",
        ),
        ({"escalation": ((HALF_AN_HOUR, 0),)}, "escalation_group_1"),
    ],
)
def test_invalid_rules_are_refused_by_field(changes, field):
    assert invalid_rules(**changes) == {field}


def test_an_escalation_step_is_in_time_and_names_a_new_group():
    one, two = GroupFactory(), GroupFactory()
    assert invalid_rules(escalation=((HALF_AN_HOUR, one.pk), (HALF_AN_HOUR, two.pk))) == set()
    late = (timedelta(hours=23), one.pk), (timedelta(hours=1), two.pk)
    assert invalid_rules(escalation=late) == {"escalation_group_2"}
    again = (HALF_AN_HOUR, one.pk), (HALF_AN_HOUR, one.pk)
    assert invalid_rules(escalation=again) == {"escalation_group_2"}
    known = {"approver_groups": frozenset({one.pk})}
    assert invalid_rules(escalation=((HALF_AN_HOUR, one.pk),), **known) == {"escalation_group_1"}
    assert invalid_rules(escalation=((timedelta(seconds=5), one.pk),)) == {"escalation_group_1"}


def test_the_form_takes_steps_and_extensions_and_shows_them_again(admin_client, choice):
    requester, owners, later = UserFactory(), GroupFactory(), GroupFactory(name="On call")
    data = {
        "name": "Orders",
        **requester_fields(users=[requester.pk]),
        "targets": [choice],
        "max_duration": "8h",
        "approval": "any_of",
        "agents": "none",
        "approver_groups": [owners.pk],
        "approvals_required": "2",
        "escalation_wait_1": "45 min",
        "escalation_group_1": later.pk,
        "max_extensions": "3",
        "extension_duration": "30m",
    }
    page = post_form(admin_client, "/access-flows/new/self-serve/", data, follow=True)
    assert "Access flow saved" in page.content.decode()
    flow = AccessFlow.objects.get()
    assert str(flow.escalation_tiers.get()) == "1. On call after 45 min"
    assert (flow.approvals_required, flow.max_extensions) == (2, 3)
    html = admin_client.get(f"/access-flows/{flow.pk}/edit/").content.decode()
    assert 'value="45 min"' in html
    assert f'name="escalation_group_1" value="{later.pk}" checked' in html
    unwaited = post_form(
        admin_client,
        f"/access-flows/{flow.pk}/edit/",
        data | {"escalation_wait_1": "", "seen_version": 1},
    )
    assert "Enter how long to wait" in unwaited.content.decode()
    overflowing = post_form(
        admin_client, "/access-flows/new/self-serve/", data | {"escalation_group_1": "9" * 30}
    )
    assert overflowing.status_code == 422
