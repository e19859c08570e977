"""When nobody decides in time a further group is asked, and may decide, too."""

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


def asked(*further, **fields):
    """A request whose owner group is silent; ``further`` are the people of each later group."""
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


def test_a_further_group_is_asked_after_its_wait_and_not_before():
    request = asked([UserFactory()])
    assert escalate_due(now=request.created_at + WAIT - timedelta(seconds=1)) == 0
    assert escalate_due(now=request.created_at + WAIT + timedelta(seconds=1)) == 1
    request.refresh_from_db()
    assert (request.escalation_tier, request.escalates_at) == (1, None)
    told = Event.objects.get(event=EventName.REQUEST_ESCALATE)
    assert (told.request_id, told.metadata["waited_s"]) == (request.pk, 1800)


def test_steps_come_one_after_the_other():
    request = asked([UserFactory()], [UserFactory()])
    first = request.created_at + WAIT * 2
    escalate_due(now=first)
    assert escalate_due(now=first + WAIT - timedelta(seconds=1)) == 0
    assert escalate_due(now=first + WAIT) == 1
    assert AccessRequest.objects.get().escalation_tier == 2


def test_somebody_of_the_further_group_decides_then_and_only_then(signed_in):
    later = UserFactory()
    request = asked([later])
    page = reverse("requests:decide", args=[request.pk])
    client = signed_in(later)
    assert client.get(page).status_code == 404
    with pytest.raises(RequestRefused):
        approve(later, request)
    escalate_due(now=timezone.now() + WAIT)
    assert client.get(page).status_code == 200
    assert request in AccessRequest.objects.awaiting_decision_by(later)
    assert approve(later, request).status == Status.GRANTING


def test_who_has_left_the_further_group_decides_nothing():
    later = UserFactory()
    request = asked([later])
    escalate_due(now=timezone.now() + WAIT)
    later.groups.clear()
    with pytest.raises(RequestRefused):
        approve(later, request)


def test_a_requester_in_the_further_group_does_not_decide():
    requester = UserFactory()
    request = asked([requester], requester=requester)
    escalate_due(now=timezone.now() + WAIT)
    assert request not in AccessRequest.objects.awaiting_decision_by(requester)
    with pytest.raises(RequestRefused):
        approve(requester, request)


def test_what_lost_its_ground_is_cancelled_instead():
    request = asked([UserFactory()])
    request.flow.max_duration += timedelta(hours=1)
    request.flow.save()
    escalate_due(now=timezone.now() + WAIT)
    request.refresh_from_db()
    assert (request.status, request.escalation_tier) == (Status.CANCELLED, 0)
    assert "was changed" in request.message


def test_what_has_lapsed_is_not_passed_on():
    request = asked([UserFactory()])
    assert escalate_due(now=request.pending_until + timedelta(seconds=1)) == 0


def test_the_timeline_says_so(signed_in):
    request = asked([UserFactory()])
    group = request.flow.escalation_tiers.get().group.name
    with time_machine.travel(timezone.now() + WAIT, tick=True):
        escalate_due(now=timezone.now())
        page = signed_in(request.requester).get(reverse("requests:detail", args=[request.pk]))
    assert f"so {group} may decide, too" in page.content.decode()
