"""What an approver is shown beside a request, and that a decision is bound to it."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accessflows.models import EscalationTier
from requests_app.approvals.review import MOST_PEOPLE
from requests_app.approvals.selectors import QUEUE_SHOWN
from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def theo():
    return UserFactory(name="Theo Brandt")


@pytest.fixture
def waiting(theo):
    hannah = UserFactory(name="Hannah Fischer")
    owners = GroupFactory(name="Orders owners", members=[theo, UserFactory(name="Priya Raman")])
    flow = AccessFlowFactory(
        approval="any_of", approver_groups=[owners], requester_users=[hannah], targets=1
    )
    return AccessRequestFactory(requester=hannah, flow=flow, status=Status.PENDING_APPROVAL)


def shown(client, request):
    return client.get(reverse("requests:decide", args=[request.pk]))


def post(client, request, page, action="approve"):
    initial = page.context["form"].initial
    said = {"fingerprint": initial["fingerprint"], "shown": initial["shown"], "reason": "Because"}
    return client.post(reverse(f"requests:{action}", args=[request.pk]), said)


def test_it_says_why_it_is_your_turn_and_who_is_asked_too(theo, waiting, signed_in):
    page = shown(signed_in(theo), waiting).content.decode()
    assert "Orders owners, one is enough" in page
    assert "Also asked: Priya Raman" in page


def test_two_of_a_group_are_said_to_be_needed(theo, waiting, signed_in):
    AccessRequest.objects.update(approvals_required=2)
    assert "2 of a group are needed" in shown(signed_in(theo), waiting).content.decode()


def test_it_tells_what_the_requester_asked_for_lately(theo, waiting, signed_in):
    mine = AccessRequestFactory(
        requester=waiting.requester, flow=waiting.flow, status=Status.REJECTED
    )
    elsewhere = AccessRequestFactory(requester=waiting.requester, status=Status.EXPIRED)
    page = shown(signed_in(theo), waiting).content.decode()
    assert "2 other requests in 30 days" in page
    assert "1 through this access flow, 1 rejected" in page
    assert f">{mine.reference}<" in page
    assert elsewhere.reference not in page


def test_history_is_no_dearer_for_many(theo, waiting, signed_in, questions_of):
    client, address = signed_in(theo), reverse("requests:decide", args=[waiting.pk])
    AccessRequestFactory(requester=waiting.requester, flow=waiting.flow, status=Status.EXPIRED)
    few = questions_of(client, address)
    AccessRequestFactory.create_batch(
        20, requester=waiting.requester, flow=waiting.flow, status=Status.EXPIRED
    )
    assert questions_of(client, address) == few


def test_of_a_great_many_who_are_asked_a_few_are_named(theo, waiting, signed_in):
    group = waiting.flow.approver_groups.get()
    group.user_set.add(*UserFactory.create_batch(7, name="Vera Novak"))
    page = shown(signed_in(theo), waiting).content.decode()
    assert (
        "Also asked: Priya Raman, Vera Novak, Vera Novak, Vera Novak, Vera Novak and 3 more" in page
    )
    group.user_set.add(*UserFactory.create_batch(MOST_PEOPLE, name="Vera Novak"))
    assert "and many more" in shown(signed_in(theo), waiting).content.decode()


def test_people_named_one_by_one_are_told_once(theo, waiting, signed_in):
    waiting.flow.approver_users.add(
        theo, waiting.flow.approver_groups.get().user_set.get(name="Priya Raman")
    )
    page = shown(signed_in(theo), waiting).content.decode()
    assert "Orders owners, Named users, one is enough" in page
    assert "Also asked: Priya Raman. " in page


def test_a_further_group_is_asked_once_it_is_its_turn(theo, waiting, signed_in):
    further = GroupFactory(name="Duty", members=[theo, UserFactory(name="Ole Lund")])
    EscalationTier.objects.create(
        flow=waiting.flow, position=1, group=further, wait=timedelta(hours=1)
    )
    client = signed_in(theo)
    assert "Ole Lund" not in shown(client, waiting).content.decode()
    AccessRequest.objects.update(escalation_tier=1)
    page = shown(client, waiting).content.decode()
    assert "Duty, Orders owners, one is enough" in page
    assert "Also asked: Ole Lund, Priya Raman" in page


def test_a_long_queue_shows_its_oldest_and_counts_all(theo, waiting, signed_in):
    AccessRequestFactory.create_batch(
        QUEUE_SHOWN + 1,
        requester=waiting.requester,
        flow=waiting.flow,
        status=Status.PENDING_APPROVAL,
    )
    page = signed_in(theo).get(reverse("requests:approvals")).content.decode()
    assert page.count('<a href="/approvals/AR-') == QUEUE_SHOWN
    assert "2 more: decide on these first." in page
    assert f'Waiting <span class="n">{QUEUE_SHOWN + 2}</span>' in page


@pytest.mark.parametrize("changed", ["rights", "evidence"])
def test_a_decision_on_what_is_shown_otherwise_by_now_is_refused(theo, waiting, signed_in, changed):
    client = signed_in(theo)
    page = shown(client, waiting)
    target = waiting.flow.targets.get()
    if changed == "rights":
        target.permission.rights = {"words": {target.resource.name: ["Drop every table"]}}
        target.permission.save()
    else:
        AccessRequest.objects.update(justification="Something else")
    answer = post(client, waiting, page)
    assert answer.status_code == 409
    assert "out of date" in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING_APPROVAL
    assert post(client, waiting, shown(client, waiting)).status_code == 302


def test_a_decision_without_the_mark_of_what_was_shown_is_refused(theo, waiting, signed_in):
    client = signed_in(theo)
    said = {"fingerprint": waiting.flow_fingerprint, "reason": "Because"}
    answer = client.post(reverse("requests:approve", args=[waiting.pk]), said)
    assert answer.status_code == 422
    assert "Open the request once more" in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING_APPROVAL


def test_what_somebody_else_decided_says_who(theo, waiting, signed_in):
    page = shown(signed_in(theo), waiting)
    priya = waiting.flow.approver_groups.get().user_set.get(name="Priya Raman")
    other = signed_in(priya)
    post(other, waiting, shown(other, waiting))
    answer = post(signed_in(theo), waiting, page, "reject")
    assert answer.status_code == 409
    assert "Priya Raman" in answer.content.decode()
