"""A further group may decide when nobody has decided in time."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from requests_app.approvals.escalation import escalate_due
from requests_app.approvals.services import decide_request
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest, Decision, Status
from tests.factories import (
    AccessFlowFactory,
    GroupFactory,
    UserFactory,
    take_fingerprint,
)
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db
WAIT = timedelta(minutes=30)


def pending_request(*further, **fields):
    """Return a request that nobody decides on; ``further`` are the members of each later group."""
    requester = fields.pop("requester", None) or UserFactory()
    flow = AccessFlowFactory(
        approval="any_of",
        approver_groups=[GroupFactory(members=[UserFactory()])],
        requester_users=[requester],
        targets=1,
        **fields,
    )
    for position, people in enumerate(further, start=1):
        group = GroupFactory(members=people)
        flow.escalation_tiers.create(position=position, wait=WAIT, group=group)
    take_fingerprint(flow)
    return submit_request(
        actor=requester,
        flow=flow,
        target_ids=[flow.targets.get().pk],
        duration=timedelta(hours=1),
        justification="Look into OPS-1 for finance",
        window=None,
    )


def approve(actor, request):
    return decide_request(
        actor=actor,
        request=request,
        verdict=Decision.Verdict.APPROVE,
        reason="",
        fingerprint=request.flow_fingerprint,
        window=None,
    )


def test_request_escalates_after_its_wait_and_not_before():
    request = pending_request([UserFactory()])
    assert escalate_due(now=request.created_at + WAIT - timedelta(seconds=1)) == 0
    assert escalate_due(now=request.created_at + WAIT + timedelta(seconds=1)) == 1
    request.refresh_from_db()
    assert (request.escalation_tier, request.escalates_at) == (1, None)
    event = Event.objects.get(event=EventName.REQUEST_ESCALATE)
    assert (event.request_id, event.metadata["waited_s"]) == (request.pk, 1800)


def test_tiers_follow_one_after_the_other():
    request = pending_request([UserFactory()], [UserFactory()])
    first = request.created_at + WAIT * 2
    escalate_due(now=first)
    assert escalate_due(now=first + WAIT - timedelta(seconds=1)) == 0
    assert escalate_due(now=first + WAIT) == 1
    assert AccessRequest.objects.get().escalation_tier == 2


def test_escalation_group_decides_once_escalated(signed_in):
    later = UserFactory()
    request = pending_request([later])
    page = reverse("requests:decide", args=[request.pk])
    client = signed_in(later)
    assert client.get(page).status_code == 404
    with pytest.raises(RequestRefused):
        approve(later, request)
    escalate_due(now=timezone.now() + WAIT)
    assert client.get(page).status_code == 200
    assert request in AccessRequest.objects.awaiting_decision_by(later)
    assert approve(later, request).status == Status.GRANTING


def test_former_member_of_the_group_cannot_decide():
    later = UserFactory()
    request = pending_request([later])
    escalate_due(now=timezone.now() + WAIT)
    later.groups.clear()
    with pytest.raises(RequestRefused):
        approve(later, request)


def test_requester_in_the_group_cannot_decide():
    requester = UserFactory()
    request = pending_request([requester], requester=requester)
    escalate_due(now=timezone.now() + WAIT)
    assert request not in AccessRequest.objects.awaiting_decision_by(requester)
    with pytest.raises(RequestRefused):
        approve(requester, request)


def test_ineligible_request_is_cancelled_instead():
    request = pending_request([UserFactory()])
    request.flow.max_duration += timedelta(hours=1)
    request.flow.save()
    escalate_due(now=timezone.now() + WAIT)
    request.refresh_from_db()
    assert (request.status, request.escalation_tier) == (Status.CANCELLED, 0)
    assert "was changed" in request.message


def test_lapsed_request_does_not_escalate():
    request = pending_request([UserFactory()])
    assert escalate_due(now=request.pending_until + timedelta(seconds=1)) == 0


def test_timeline_shows_the_escalation(signed_in):
    request = pending_request([UserFactory()])
    group = request.flow.escalation_tiers.get().group.name
    with time_machine.travel(timezone.now() + WAIT, tick=True):
        escalate_due(now=timezone.now())
        page = signed_in(request.requester).get(reverse("requests:detail", args=[request.pk]))
    assert f"<strong>Escalated</strong> to {group}" in page.content.decode()


def test_the_navigation_counts_for_everyone_who_may_decide(signed_in):
    """Users of whom no flow says that they approve are not counted for: each kind must be known."""
    named, later, nobody = UserFactory.create_batch(3)
    request = pending_request([later], approver_users=[named])
    AccessRequest.objects.filter(pk=request.pk).update(escalation_tier=1)
    [group] = request.flow.approver_groups.all()
    counts = [
        signed_in(user).get("/requests/").context["nav"]["approvals"]
        for user in (named, group.user_set.get(), later, nobody)
    ]
    assert counts == [1, 1, 1, 0]
