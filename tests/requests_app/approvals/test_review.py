"""What an approver is shown beside a request, and that the decision is bound to it."""

from datetime import timedelta

import pytest
from django.urls import reverse

from accessflows.models import EscalationTier
from requests_app.approvals.review import MAX_APPROVERS_READ
from requests_app.approvals.selectors import MAX_QUEUE_ROWS
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


def review(client, request):
    return client.get(reverse("requests:decide", args=[request.pk]))


def post(client, request, page, action="approve"):
    initial = page.context["form"].initial
    fields = initial | {"reason": "Because"}
    return client.post(reverse(f"requests:{action}", args=[request.pk]), fields)


def test_page_shows_why_the_approver_may_decide_and_who_else(theo, waiting, signed_in):
    page = review(signed_in(theo), waiting).content.decode()
    assert "Orders owners, one approval is enough" in page
    assert "Other approvers: Priya Raman" in page


def test_page_shows_how_many_approvals_are_needed(theo, waiting, signed_in):
    AccessRequest.objects.update(approvals_required=2)
    assert "2 approvals from one group" in review(signed_in(theo), waiting).content.decode()


def test_page_shows_the_requesters_recent_requests(theo, waiting, signed_in):
    mine = AccessRequestFactory(
        requester=waiting.requester, flow=waiting.flow, status=Status.REJECTED
    )
    elsewhere = AccessRequestFactory(requester=waiting.requester, status=Status.EXPIRED)
    page = review(signed_in(theo), waiting).content.decode()
    assert "2 other requests in 30 days" in page
    assert "1 via this access flow, 1 rejected" in page
    assert f">{mine.reference}<" in page
    assert elsewhere.reference not in page


def test_query_count_does_not_depend_on_the_history(theo, waiting, signed_in, questions_of):
    client, address = signed_in(theo), reverse("requests:decide", args=[waiting.pk])
    AccessRequestFactory(requester=waiting.requester, flow=waiting.flow, status=Status.EXPIRED)
    few = questions_of(client, address)
    AccessRequestFactory.create_batch(
        20, requester=waiting.requester, flow=waiting.flow, status=Status.EXPIRED
    )
    assert questions_of(client, address) == few


def test_only_the_first_of_many_approvers_are_named(theo, waiting, signed_in):
    group = waiting.flow.approver_groups.get()
    group.user_set.add(*UserFactory.create_batch(7, name="Vera Novak"))
    page = review(signed_in(theo), waiting).content.decode()
    assert (
        "Other approvers: Priya Raman, Vera Novak, Vera Novak, Vera Novak, Vera Novak and 3 more"
        in page
    )
    group.user_set.add(*UserFactory.create_batch(MAX_APPROVERS_READ, name="Vera Novak"))
    assert "and many more" in review(signed_in(theo), waiting).content.decode()


def test_approver_named_and_in_a_group_is_shown_once(theo, waiting, signed_in):
    waiting.flow.approver_users.add(
        theo, waiting.flow.approver_groups.get().user_set.get(name="Priya Raman")
    )
    page = review(signed_in(theo), waiting).content.decode()
    assert "Orders owners, Named users, one approval is enough" in page
    assert "Other approvers: Priya Raman. " in page


def test_escalation_group_is_shown_once_escalated(theo, waiting, signed_in):
    further = GroupFactory(name="Duty", members=[theo, UserFactory(name="Ole Lund")])
    EscalationTier.objects.create(
        flow=waiting.flow, position=1, group=further, wait=timedelta(hours=1)
    )
    client = signed_in(theo)
    assert "Ole Lund" not in review(client, waiting).content.decode()
    AccessRequest.objects.update(escalation_tier=1)
    page = review(client, waiting).content.decode()
    assert "Duty, Orders owners, one approval is enough" in page
    assert "Other approvers: Ole Lund, Priya Raman" in page


def test_long_queue_shows_its_oldest_and_counts_all(theo, waiting, signed_in):
    AccessRequestFactory.create_batch(
        MAX_QUEUE_ROWS + 1,
        requester=waiting.requester,
        flow=waiting.flow,
        status=Status.PENDING_APPROVAL,
    )
    page = signed_in(theo).get(reverse("requests:approvals")).content.decode()
    assert page.count('<a href="/approvals/AR-') == MAX_QUEUE_ROWS
    assert f"The oldest {MAX_QUEUE_ROWS} of {MAX_QUEUE_ROWS + 2}." in page
    assert f'Waiting <span class="n">{MAX_QUEUE_ROWS + 2}</span>' in page


@pytest.mark.parametrize("changed", ["rights", "evidence"])
def test_decision_on_a_changed_request_is_refused(theo, waiting, signed_in, changed):
    client = signed_in(theo)
    page = review(client, waiting)
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
    assert post(client, waiting, review(client, waiting)).status_code == 302


def test_decision_without_the_digest_is_refused(theo, waiting, signed_in):
    client = signed_in(theo)
    fields = {"fingerprint": waiting.flow_fingerprint, "reason": "Because"}
    answer = client.post(reverse("requests:approve", args=[waiting.pk]), fields)
    assert answer.status_code == 422
    assert "Open the request again" in answer.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING_APPROVAL


def test_conflict_names_who_decided_first(theo, waiting, signed_in):
    page = review(signed_in(theo), waiting)
    priya = waiting.flow.approver_groups.get().user_set.get(name="Priya Raman")
    other = signed_in(priya)
    post(other, waiting, review(other, waiting))
    answer = post(signed_in(theo), waiting, page, "reject")
    assert answer.status_code == 409
    assert "Priya Raman" in answer.content.decode()
