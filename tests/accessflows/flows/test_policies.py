"""Who may ask, who may decide, and when a decision is reached."""

from types import SimpleNamespace

import pytest

from accessflows.flows.catalog import requestable_targets
from accessflows.flows.policies import (
    approval_met,
    approver_sets,
    can_decide,
    can_request,
    requestable_ids,
)
from accessflows.flows.selectors import available_targets, available_targets_of, requesters_of
from accessflows.models import AccessFlow
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db
ANY_OF, ALL_OF = AccessFlow.Approval.ANY_OF, AccessFlow.Approval.ALL_OF


def approve(*approvers):
    return [SimpleNamespace(verdict="approve", approver_id=user.pk) for user in approvers]


def test_named_users_and_group_members_can_request():
    named, member, other = UserFactory.create_batch(3)
    group = GroupFactory(members=[member])
    flow = AccessFlowFactory(requester_users=[named], requester_groups=[group])
    assert [can_request(flow, user) for user in (named, member, other)] == [True, True, False]
    assert set(requesters_of(flow)) == {named, member}


def test_nobody_can_request_through_an_inactive_flow():
    person = UserFactory()
    assert not can_request(AccessFlowFactory(requester_users=[person], is_active=False), person)


def test_a_deactivated_user_cannot_request():
    person = UserFactory(is_active=False)
    flow = AccessFlowFactory(requester_users=[person])
    assert not can_request(flow, person)
    assert not requesters_of(flow).exists()


def test_a_flow_is_offered_with_its_available_targets():
    person = UserFactory()
    flow = AccessFlowFactory(requester_users=[person], targets=2)
    missing = flow.targets.first().resource
    missing.missing_since = flow.created_at
    missing.save()
    offered = requestable_targets(person)
    assert [target.resource for target in offered] != [missing]
    assert len(offered) == len(available_targets_of(flow)) == 1


@pytest.mark.parametrize("closed", ["resource", "permission", "integration", None])
def test_what_is_available_is_the_same_in_the_database_and_in_memory(closed):
    flow = AccessFlowFactory(targets=2)
    target = flow.targets.first()
    if closed == "integration":
        target.resource.integration.is_active = False
        target.resource.integration.save()
    elif closed:
        thing = getattr(target, closed)
        thing.missing_since = flow.created_at
        thing.save()
    available = list(available_targets().filter(flow=flow))
    assert available_targets_of(flow) == available
    assert (target in available) == (closed is None)


def test_flows_are_requestable_for_active_users_they_name():
    named, other = UserFactory.create_batch(2)
    missing = UserFactory(is_active=False)
    flow = AccessFlowFactory(requester_users=[named, missing])
    ids = [flow.pk, AccessFlowFactory(requester_users=[other]).pk, flow.pk + 100]
    assert requestable_ids(ids, named) == {flow.pk}
    assert requestable_ids(ids, missing) == set()


def test_a_flow_whose_integrations_are_disabled_is_not_offered():
    person = UserFactory()
    flow = AccessFlowFactory(requester_users=[person], targets=1)
    integration = flow.targets.get().resource.integration
    integration.is_active = False
    integration.save()
    assert not requestable_targets(person).exists()


def test_an_automatic_flow_needs_no_approval():
    flow = AccessFlowFactory(approver_users=[UserFactory()])
    assert approver_sets(flow) == []
    assert approval_met(flow, [])


def test_any_one_approver_is_enough():
    one, two = UserFactory.create_batch(2)
    flow = AccessFlowFactory(
        approval=ANY_OF, approver_users=[one], approver_groups=[GroupFactory(members=[two])]
    )
    assert approval_met(flow, approve(two))
    assert not approval_met(flow, [])


def test_one_from_each_group_means_each():
    one, two = UserFactory.create_batch(2)
    groups = [GroupFactory(members=[one]), GroupFactory(members=[two])]
    flow = AccessFlowFactory(approval=ALL_OF, approver_groups=groups)
    assert not approval_met(flow, approve(one))
    assert approval_met(flow, approve(one, two))


def test_an_empty_group_means_nobody():
    one = UserFactory()
    flow = AccessFlowFactory(
        approval=ALL_OF, approver_groups=[GroupFactory(members=[one]), GroupFactory()]
    )
    assert not approval_met(flow, approve(one))


def test_without_approvers_nothing_is_approved():
    anybody = UserFactory()
    for approval in (ANY_OF, ALL_OF):
        flow = AccessFlowFactory(approval=approval)
        assert not approval_met(flow, approve(anybody))
        assert not can_decide(flow, anybody, UserFactory())


@pytest.mark.parametrize("loses", ["membership", "activity"])
def test_an_approval_counts_only_while_its_approver_is_one(loses):
    one = UserFactory()
    group = GroupFactory(members=[one])
    flow = AccessFlowFactory(approval=ANY_OF, approver_groups=[group])
    assert approval_met(flow, approve(one))
    if loses == "membership":
        group.user_set.clear()
    else:
        type(one).objects.filter(pk=one.pk).update(is_active=False)
    assert not approval_met(flow, approve(one))


def test_a_rejection_is_no_approval():
    one = UserFactory()
    flow = AccessFlowFactory(approval=ANY_OF, approver_users=[one])
    assert not approval_met(flow, [SimpleNamespace(verdict="reject", approver_id=one.pk)])


def test_a_deleted_approver_counts_for_nobody():
    flow = AccessFlowFactory(approval=ANY_OF, approver_users=[UserFactory()])
    assert not approval_met(flow, [SimpleNamespace(verdict="approve", approver_id=None)])


def test_requesters_approve_their_own_only_if_the_flow_allows():
    person = UserFactory()
    flow = AccessFlowFactory(approval=ANY_OF, approver_users=[person])
    assert not can_decide(flow, person, person)
    assert not approval_met(flow, approve(person), requester_id=person.pk)
    flow.allow_self_approval = True
    assert can_decide(flow, person, person)
    assert approval_met(flow, approve(person), requester_id=person.pk)


def test_a_deactivated_approver_decides_nothing():
    person = UserFactory(is_active=False)
    flow = AccessFlowFactory(approval=ANY_OF, approver_users=[person])
    assert not can_decide(flow, person, UserFactory())
