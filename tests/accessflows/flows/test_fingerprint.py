"""The fingerprint moves with everything that matters to a request, and with nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest

from accessflows.flows.fingerprint import compute_fingerprint, fingerprint_of, terms_of
from accessflows.flows.services import write_requesters
from accessflows.models import EscalationTier
from accessflows.requesters import Condition
from tests.factories import (
    AccessFlowFactory,
    FlowTargetFactory,
    GroupFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db


def taken(flow):
    flow.refresh_from_db()
    return fingerprint_of(terms_of(flow))


@pytest.mark.parametrize(
    "change",
    [
        {"require_mfa": True},
        {"max_duration": timedelta(hours=9)},
        {"approval": "any_of"},
        {"require_justification": False},
        {"require_approver_reason": True},
        {"allow_self_approval": True},
        {"allow_delegation": True},
        {"agents": "request"},
        {"approvals_required": 2},
        {"max_extensions": 1},
        {"extension_duration": timedelta(minutes=30)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_term_that_matters_changes_it(change):
    flow = AccessFlowFactory(targets=1)
    before = taken(flow)
    type(flow).objects.filter(pk=flow.pk).update(**change)
    assert taken(flow) != before


@pytest.mark.parametrize("users", ["approver_users", "approver_groups"])
def test_approvers_change_it(users):
    flow = AccessFlowFactory()
    before = taken(flow)
    getattr(flow, users).add(UserFactory() if users.endswith("users") else GroupFactory())
    assert taken(flow) != before


def test_every_part_of_a_condition_changes_it():
    group, other = GroupFactory.create_batch(2)
    is_group = Condition("group", "is", (group.pk,))
    is_domain = Condition("email_domain", "is", ("example.org",))
    variants = [
        ((is_group,),),
        ((replace(is_group, values=(other.pk,)),),),
        ((replace(is_group, operator="is_not"),),),
        ((replace(is_group, operator="contains", values=("a",)),),),
        ((is_domain,),),
        ((is_group, is_domain),),
        ((is_group,), (is_domain,)),
    ]
    flow = AccessFlowFactory()
    fingerprints = set()
    for sets in variants:
        write_requesters(flow=flow, sets=sets)
        fingerprints.add(taken(flow))
    assert len(fingerprints) == len(variants)


def test_a_deleted_group_changes_it():
    group = GroupFactory()
    flow = AccessFlowFactory(requester_groups=[group])
    before = taken(flow)
    group.delete()
    assert taken(flow) != before
    assert compute_fingerprint(flow) == taken(flow)


@pytest.mark.parametrize("change", [{}, {"wait": timedelta(minutes=31)}], ids=["removed", "wait"])
def test_a_step_of_escalation_changes_it(change):
    flow = AccessFlowFactory()
    none = taken(flow)
    tier = flow.escalation_tiers.create(
        position=1, wait=timedelta(minutes=30), group=GroupFactory()
    )
    before = taken(flow)
    tier.delete()
    if change:
        flow.escalation_tiers.create(position=1, group=tier.group, **change)
    assert before not in (none, taken(flow))


def test_a_target_changes_it():
    flow = AccessFlowFactory(targets=1)
    before = taken(flow)
    FlowTargetFactory(flow=flow)
    assert taken(flow) != before


@pytest.mark.parametrize("change", [{"host": "elsewhere.example"}, {"port": 6000}])
def test_the_address_of_a_target_changes_it(change):
    flow = AccessFlowFactory(targets=1)
    before = taken(flow)
    integration = flow.targets.get().resource.integration
    type(integration).objects.filter(pk=integration.pk).update(**change)
    assert taken(flow) != before


def test_names_do_not_change_it():
    group = GroupFactory()
    flow = AccessFlowFactory(targets=1, requester_groups=[group])
    before = taken(flow)
    group.name = "Renamed"
    group.save()
    type(flow).objects.filter(pk=flow.pk).update(name="Renamed", description="Other words")
    integration = flow.targets.get().resource.integration
    type(integration).objects.filter(pk=integration.pk).update(name="Renamed")
    assert taken(flow) == before


def test_the_order_of_saving_does_not_change_it():
    one, two = UserFactory.create_batch(2)
    flow = AccessFlowFactory(requester_users=[one, two])
    before = taken(flow)
    set_requesters(flow, users=[two, one])
    assert taken(flow) == before


def test_the_computed_fingerprint_is_that_of_the_terms():
    users, groups = UserFactory.create_batch(3), GroupFactory.create_batch(3)
    flow = AccessFlowFactory(
        targets=2,
        requester_users=users[1:],
        requester_groups=groups[:2],
        approver_users=users[:2],
        approver_groups=groups[1:],
    )
    for position, group in enumerate(reversed(groups), start=1):
        wait = timedelta(minutes=position)
        EscalationTier.objects.create(flow=flow, position=position, wait=wait, group=group)
    assert compute_fingerprint(flow) == fingerprint_of(terms_of(flow))
