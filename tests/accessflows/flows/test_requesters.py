"""Conditions decide who can request: for a user, for a flow, and for a request."""

import random
from itertools import product

import pytest
from django.contrib.auth.models import Group

from accessflows.flows.policies import requestable_ids
from accessflows.flows.selectors import requesters_of
from accessflows.flows.services import write_requesters
from accessflows.models import AccessFlow
from accessflows.requesters import OPERATORS, Condition, meets_any, users_meeting
from apono_portal.users.models import User
from requests_app.grants.revocation import revoke_ineligible
from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db
DOMAINS = ("example.org", "example.com", "dev.example.com")


def is_met(condition: Condition, user: User) -> bool:
    """Evaluate a condition in plain Python, as documented."""
    domain = user.email.rpartition("@")[2].lower()
    groups = list(user.groups.all())
    equal = {
        "user": user.pk in condition.values,
        "group": any(group.pk in condition.values for group in groups),
        "email_domain": domain in condition.values,
    }[condition.attribute]
    if condition.operator == "is_not":
        return None not in condition.values and not equal
    if condition.operator == "is":
        return equal
    texts = [group.name.lower() for group in groups]
    texts = [domain] if condition.attribute == "email_domain" else texts
    wanted = str(condition.values[0]).lower()
    if condition.operator == "starts_with":
        return any(text.startswith(wanted) for text in texts)
    return any(wanted in text for text in texts)


def random_condition(chance, users, groups) -> Condition:
    attribute = chance.choice(list(OPERATORS))
    operator = chance.choice(OPERATORS[attribute])
    if operator in {"starts_with", "contains"}:
        values = (chance.choice(["ENG", "a", "example", "_", "%"]),)
        values = (values[0].lower(),) if attribute == "email_domain" else values
    elif attribute == "email_domain":
        values = tuple(chance.sample(DOMAINS, chance.randint(1, 2)))
    else:
        rows = users if attribute == "user" else groups
        values = tuple(sorted(row.pk for row in chance.sample(rows, chance.randint(1, 2))))
    return Condition(attribute, operator, values)


def test_every_way_to_ask_gives_the_same_answer():
    chance = random.Random(20261130)
    groups = [GroupFactory(name=name) for name in ("Engineering", "eng_ops", "Sales%", "Data")]
    users = [
        UserFactory(email=f"u{n}@{DOMAINS[n % 3]}", groups=chance.sample(groups, n % 4))
        for n in range(8)
    ]
    flow = AccessFlowFactory()
    requests = {user: AccessRequestFactory(requester=user, flow=flow) for user in users}
    outcomes = set()
    for _ in range(60):
        sets = tuple(
            tuple(random_condition(chance, users, groups) for _ in range(chance.randint(1, 3)))
            for _ in range(chance.randint(1, 3))
        )
        write_requesters(flow=flow, sets=sets)
        expected = {u for u in users if any(all(is_met(c, u) for c in one) for one in sets)}
        assert set(users_meeting(sets)) == expected, sets
        assert set(requesters_of(flow)) == expected
        assert set(User.objects.filter(meets_any(sets))) == expected
        assert {user for user in users if requestable_ids([flow.pk], user)} == expected
        ineligible = _ineligible_requests()
        assert {user for user in users if requests[user].pk not in ineligible} == expected
        outcomes.add(len(expected))
    assert {0, len(users)} < outcomes


def _ineligible_requests() -> set[int]:
    from requests_app.grants.revocation import _is_requester

    return set(AccessRequest.objects.filter(~_is_requester()).values_list("pk", flat=True))


def test_a_deleted_group_never_widens_who_can_request():
    contractors, staff = GroupFactory(name="Contractors"), GroupFactory(name="Staff")
    person = UserFactory(groups=[staff, contractors])
    flow = AccessFlowFactory(
        requesters=(
            (
                Condition("group", "is", (staff.pk,)),
                Condition("group", "is_not", (contractors.pk,)),
            ),
        )
    )
    Group.objects.filter(pk=contractors.pk).delete()
    assert not requesters_of(flow).exists()
    assert not requestable_ids([flow.pk], person)


def test_a_deleted_user_excludes_nobody():
    excluded, person = UserFactory(), UserFactory()
    flow = AccessFlowFactory(requesters=((Condition("user", "is_not", (excluded.pk,)),),))
    excluded.delete()
    assert requestable_ids([flow.pk], person) == {flow.pk}
    assert person in requesters_of(flow)


def test_a_renamed_group_stays_the_group():
    group = GroupFactory(name="Billing")
    person = UserFactory(groups=[group])
    flow = AccessFlowFactory(requester_groups=[group])
    Group.objects.filter(pk=group.pk).update(name="Invoices")
    assert requestable_ids([flow.pk], person) == {flow.pk}


def test_a_flow_without_conditions_is_for_nobody():
    flow = AccessFlowFactory()
    assert not requesters_of(flow).exists()
    assert not requestable_ids([flow.pk], UserFactory())


def test_an_email_with_a_second_at_sign_has_the_last_domain():
    person = UserFactory(email='"a@example.org"@evil.example')
    flow = AccessFlowFactory(
        requesters=((Condition("email_domain", "contains", ("example.org",)),),)
    )
    assert not requestable_ids([flow.pk], person)
    assert not requesters_of(flow).exists()


@pytest.mark.parametrize("lost", ["group", "email"])
def test_access_ends_when_a_condition_is_no_longer_met(lost):
    group = GroupFactory(name="eng-data")
    person = UserFactory(email="irma@example.org", groups=[group])
    flow = AccessFlowFactory(
        targets=1,
        requesters=(
            (
                Condition("group", "starts_with", ("eng-",)),
                Condition("email_domain", "is", ("example.org",)),
            ),
        ),
    )
    request = AccessRequestFactory(requester=person, flow=flow, status=Status.PENDING_APPROVAL)
    assert revoke_ineligible() == 0
    if lost == "group":
        Group.objects.filter(pk=group.pk).update(name="data")
    else:
        User.objects.filter(pk=person.pk).update(email="irma@elsewhere.example")
    assert revoke_ineligible() == 1
    request.refresh_from_db()
    assert request.status == Status.CANCELLED


def test_eligibility_takes_one_statement_for_many_flows(django_assert_num_queries):
    groups = GroupFactory.create_batch(3)
    person = UserFactory(groups=groups)
    for group, operator in product(groups, ("is", "is_not")):
        AccessFlowFactory(requesters=((Condition("group", operator, (group.pk,)),),))
    with django_assert_num_queries(1):
        assert AccessFlow.objects.requestable_by(person).count() == 3
