"""The simulator shows what would happen, and that is what happens."""

import html
import random
from datetime import time, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accessflows.flows.choices import format_pair
from accessflows.models import AccessFlow
from bench.speed.query_report import MAX_STATEMENTS
from mfa.models import Verification
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest
from requests_app.submission.evaluation import evaluate
from requests_app.submission.simulator import simulate
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory
from tests.fixtures.submission import select, submit_request

pytestmark = pytest.mark.django_db
PAGE = "/access-flows/simulator/"


class RolledBack(Exception):
    pass


def world(chance):
    """A person and a flow of any kind; half of the grounds to refuse are drawn now and then."""

    def now_and_then():
        return chance.random() < 0.15

    person = UserFactory(is_active=not now_and_then())
    flow = AccessFlowFactory(
        targets=1,
        require_mfa=chance.random() < 0.5,
        approval=chance.choice(["automatic", "any_of", "all_of"]),
        is_active=not now_and_then(),
        max_duration=timedelta(hours=chance.randint(1, 8)),
        requester_users=[] if now_and_then() else [person],
        approver_groups=[GroupFactory(members=[UserFactory()])],
        **(
            {
                "available_days": [0],
                "available_from": time(0),
                "available_until": time(0, 1),
                "available_zone": "UTC",
            }
            if now_and_then()
            else {}
        ),
    )
    resource = flow.targets.get().resource
    if now_and_then():
        type(resource).objects.filter(pk=resource.pk).update(missing_since=timezone.now())
    return person, flow, timedelta(hours=chance.randint(1, 9))


def really(person, flow, duration, window):
    """What a submission comes to: a status or a refusal. Nothing of it stays."""
    outcome = None
    try:
        with transaction.atomic():
            outcome = submit_request(
                actor=person,
                flow=flow,
                target_ids=[flow.targets.get().pk],
                duration=duration,
                justification="Backfill carrier_id",
                window=window,
            ).status
            raise RolledBack
    except RolledBack:
        return outcome
    except RequestRefused as refused:
        return refused.sentence


def test_the_evaluation_is_what_happens(open_window_of):
    chance = random.Random(20261125)
    outcomes = set()
    for _ in range(40):
        person, flow, duration = world(chance)
        for window in (None, open_window_of(person)):
            selection = select(flow, [flow.targets.get().pk], duration)
            counts = window is not None and person.is_active
            evaluation = evaluate(
                requester=person,
                selection=selection,
                verification=Verification.objects.latest("pk") if counts else None,
                now=timezone.now(),
            )
            expected = evaluation.status or evaluation.refusals[0].sentence
            assert expected == really(person, flow, duration, window)
            outcomes.add(evaluation.status or evaluation.refusals[0].field)
    assert outcomes == {
        "pending_mfa",
        "pending_approval",
        "granting",
        "flow",
        "targets",
        "duration",
    }


def pair_of(flow):
    target = flow.targets.get()
    return format_pair((target.resource_id, target.permission_id))


def ask(client, person, flow, duration="1h"):
    return client.get(PAGE, {"person": person.pk, "target": pair_of(flow), "duration": duration})


def test_it_says_the_outcome_in_a_sentence(auditor_client):
    person = UserFactory(name="Irma Solberg")
    flow = AccessFlowFactory(name="Orders", targets=1, requester_users=[person])
    label = flow.targets.get().label
    page = ask(auditor_client, person, flow).content.decode()
    assert f"Irma Solberg can request {label} for 1 h through Orders." in page
    flow.is_active = False
    flow.save()
    page = html.unescape(ask(auditor_client, person, flow).content.decode())
    assert f"Irma Solberg can't request {label} for 1 h: no access flow would accept it." in page


def test_without_script_a_search_returns_the_form_with_matches(auditor_client):
    person = UserFactory(name="Irma Solberg")
    flow = AccessFlowFactory(targets=1)
    data = {"find-person": "irma", "step": "find", "target": pair_of(flow), "duration": "3h"}
    answer = auditor_client.get(PAGE, data)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert f'name="person" value="{person.pk}"' in page
    assert f'value="{pair_of(flow)}" selected' in page
    assert 'value="3h"' in page


def test_it_shows_mfa_and_approvers_without_the_requester(auditor_client):
    person = UserFactory(name="Irma Solberg")
    owners = GroupFactory(name="Owners", members=[person, UserFactory(name="Priya Raman")])
    flow = AccessFlowFactory(
        name="Orders",
        targets=1,
        requester_users=[person],
        require_mfa=True,
        approval="any_of",
        approver_groups=[owners],
    )
    page = ask(auditor_client, person, flow).content.decode()
    assert "Would be accepted" in page
    assert "Required, unless a code was entered" in page
    assert "Owners: Priya Raman<" in page
    assert not AccessRequest.objects.exists()


def test_an_impossible_approval_is_shown(admin_client):
    person = UserFactory()
    flow = AccessFlowFactory(
        targets=1, requester_users=[person], approval="any_of", approver_users=[person]
    )
    assert "Nobody could approve this." in ask(admin_client, person, flow).content.decode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"is_active": False}, "is deactivated"),
        ({"max_duration": timedelta(minutes=30)}, "is 30 min"),
    ],
)
def test_refusals_are_shown(admin_client, change, sentence):
    person = UserFactory()
    flow = AccessFlowFactory(targets=1, requester_users=[person])
    AccessFlow.objects.update(**change)
    page = ask(admin_client, person, flow).content.decode()
    assert "Would be refused" in page
    assert sentence in page


def test_a_missing_requester_is_explained(admin_client):
    page = ask(admin_client, UserFactory(name="Max"), AccessFlowFactory(targets=1)).content.decode()
    assert "Max does not meet the conditions of" in page


def test_every_flow_is_shown_accepted_ones_first():
    person = UserFactory()
    shut = AccessFlowFactory(name="A", targets=1)
    target = shut.targets.get()
    way = AccessFlowFactory(name="B", requester_users=[person])
    way.targets.create(resource=target.resource, permission=target.permission)
    cases = simulate(
        person=person, target=pair_of(shut), duration=timedelta(hours=1), now=timezone.now()
    )
    assert [case.flow.name for case in cases] == ["B", "A"]


def manual_flow(person):
    """A protected flow with an approver group, a named approver and an escalation tier."""
    flow = AccessFlowFactory(
        requester_users=[person],
        require_mfa=True,
        approval="any_of",
        approver_groups=[GroupFactory(members=[UserFactory()])],
        approver_users=[UserFactory()],
    )
    group = GroupFactory(members=[UserFactory()])
    flow.escalation_tiers.create(position=1, wait=timedelta(minutes=30), group=group)
    return flow


def test_more_flows_need_no_more_statements(verified, auditor_user, questions_of):
    person, client = UserFactory(), verified(auditor_user)
    denied = AccessFlowFactory(targets=1)
    target = denied.targets.get()
    page = f"{PAGE}?person={person.pk}&target={pair_of(denied)}&duration=1h"
    counts = []
    for number in (1, 3):
        for _ in range(number):
            flow = manual_flow(person)
            flow.targets.create(resource=target.resource, permission=target.permission)
        counts.append(questions_of(client, page))
    assert counts[0] == counts[1] <= MAX_STATEMENTS
    assert client.get(page).content.decode().count("Would be accepted") == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"person": ""},
        {"person": "999999"},
        {"target": "9:9"},
        {"target": "x"},
        {"duration": "-1"},
    ],
)
def test_invalid_input_gets_an_error(admin_client, changes):
    person = UserFactory()
    flow = AccessFlowFactory(targets=1)
    whole = {"person": person.pk, "target": pair_of(flow), "duration": "1h"} | changes
    answer = admin_client.get(PAGE, whole)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.content.decode()


def test_the_limit_of_pending_requests_is_shown(admin_client, monkeypatch):
    monkeypatch.setattr("requests_app.submission.pending_mfa.MAX_PENDING_MFA", 0)
    person = UserFactory()
    flow = AccessFlowFactory(targets=1, requester_users=[person], require_mfa=True)
    assert "are already waiting for your code" in ask(admin_client, person, flow).content.decode()
