"""Ends: by time, by hand, by the loss of a request's ground, by nobody acting."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.activation import begin_activation
from requests_app.grants.revocation import (
    cancel_request,
    expire_due,
    lapse_overdue,
    revoke_access,
    revoke_all_access_of,
    revoke_ineligible,
)
from requests_app.models import AccessRequest, GrantState, Status
from tests.factories import (
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db


def stands(request):
    request.refresh_from_db()
    return request.status


def test_access_past_its_end_expires():
    grant = GrantFactory()
    assert expire_due(now=grant.deadline - timedelta(seconds=1)) == 0
    assert expire_due(now=grant.deadline) == 1
    grant.refresh_from_db()
    assert (stands(grant.request), grant.state) == (Status.REVOKING, GrantState.REVOKING)
    assert grant.request.final_status == Status.EXPIRED


def test_the_requester_revokes_it():
    grant = GrantFactory()
    revoke_access(actor=grant.request.requester, request=grant.request)
    assert (stands(grant.request), grant.request.final_status) == (Status.REVOKING, Status.REVOKED)


def test_an_admin_revokes_it():
    grant, admin = GrantFactory(), UserFactory(admin=True)
    revoke_access(actor=admin, request=grant.request)
    assert stands(grant.request) == Status.REVOKING
    assert Event.objects.get(event=EventName.REQUEST_BEGIN_REVOCATION).actor_id == admin.pk


@pytest.mark.parametrize("role", ["auditor", None])
def test_others_cannot_revoke_it(role):
    grant = GrantFactory()
    actor = UserFactory(**({role: True} if role else {}))
    for end in (revoke_access, cancel_request):
        with pytest.raises(RequestRefused):
            end(actor=actor, request=grant.request)
    assert stands(grant.request) == Status.ACTIVE


def test_a_started_revocation_keeps_its_final_status():
    grant = GrantFactory()
    expire_due(now=grant.deadline)
    with pytest.raises(Conflict):
        revoke_access(actor=grant.request.requester, request=grant.request)
    assert (stands(grant.request), grant.request.final_status) == (Status.REVOKING, Status.EXPIRED)


@pytest.mark.parametrize("status", [Status.PENDING_MFA, Status.PENDING_APPROVAL, Status.GRANTING])
def test_a_pending_request_can_be_cancelled(status):
    request = AccessRequestFactory(status=status)
    cancel_request(actor=request.requester, request=request)
    assert stands(request) == Status.CANCELLED


def test_cancelling_during_activation_revokes_what_may_exist():
    request = AccessRequestFactory()
    begin_activation(request_pk=request.pk)
    cancel_request(actor=request.requester, request=request)
    assert (stands(request), request.final_status) == (Status.REVOKING, Status.REVOKED)
    assert request.grants.get().state == GrantState.REVOKING


def test_active_access_cannot_be_cancelled():
    grant = GrantFactory()
    with pytest.raises(Conflict):
        cancel_request(actor=grant.request.requester, request=grant.request)


def test_a_request_without_verification_lapses():
    request = AccessRequestFactory(status=Status.PENDING_MFA)
    assert lapse_overdue(now=request.pending_until - timedelta(seconds=1)) == 0
    assert lapse_overdue(now=request.pending_until) == 1
    assert (stands(request), request.message) == (Status.LAPSED, "MFA was not verified in time.")


def test_a_request_without_decision_lapses():
    request = AccessRequestFactory(status=Status.PENDING_APPROVAL)
    lapse_overdue(now=request.pending_until)
    assert (stands(request), request.message) == (Status.LAPSED, "Nobody decided in time.")


LIVE = [(Status.ACTIVE, Status.REVOKING), (Status.PENDING_APPROVAL, Status.CANCELLED)]


def request_at(status):
    if status == Status.ACTIVE:
        return GrantFactory().request
    return AccessRequestFactory(status=status)


@pytest.mark.parametrize(("status", "then"), LIVE)
@pytest.mark.parametrize(
    "lost", ["person", "no person", "flow", "no flow", "integration", "name on the flow"]
)
def test_access_that_lost_eligibility_is_revoked(status, then, lost):
    request = request_at(status)
    integration = request.targets.get().integration
    {
        "person": lambda: type(request.requester).objects.update(is_active=False),
        "no person": lambda: AccessRequest.objects.update(requester=None),
        "flow": lambda: type(request.flow).objects.update(is_active=False),
        "no flow": lambda: AccessRequest.objects.update(flow=None),
        "integration": lambda: type(integration).objects.update(is_active=False),
        "name on the flow": lambda: set_requesters(request.flow),
    }[lost]()
    assert revoke_ineligible() == 1
    assert stands(request) == then
    assert request.message


def test_ineligible_access_is_revoked_in_batches(monkeypatch):
    monkeypatch.setattr("requests_app.grants.revocation.BATCH_SIZE", 2)
    requests = [request_at(Status.PENDING_APPROVAL) for _ in range(3)]
    type(requests[0].flow).objects.update(is_active=False)
    assert [revoke_ineligible() for _ in range(3)] == [2, 1, 0]
    assert {stands(request) for request in requests} == {Status.CANCELLED}


@pytest.mark.parametrize(("status", "then"), LIVE)
def test_leaving_the_requester_group_revokes_access(status, then):
    request, group = request_at(status), Group.objects.create(name="Engineering")
    set_requesters(request.flow, groups=[group])
    request.requester.groups.add(group)
    assert revoke_ineligible() == 0
    request.requester.groups.remove(group)
    assert revoke_ineligible() == 1
    assert (stands(request), request.message) == (then, "The user can no longer request access through this access flow.")  # fmt: skip


@pytest.mark.parametrize(("status", "then"), LIVE)
def test_revoking_all_access_of_a_user_leaves_that_of_others(status, then):
    request, other = request_at(status), request_at(status)
    admin = UserFactory(admin=True)
    revoked = revoke_all_access_of(user=request.requester, actor=admin, reason="Left")
    assert (revoked, stands(request), stands(other)) == (1, then, status)


def test_eligible_access_is_not_revoked():
    GrantFactory()
    assert revoke_ineligible() == 0


def test_the_page_revokes(signed_in):
    grant = GrantFactory()
    client = signed_in(grant.request.requester)
    answer = client.post(reverse("requests:revoke", args=[grant.request_id]), follow=True)
    assert "is being revoked" in answer.content.decode()
    assert "Revoking" in answer.content.decode()


def test_the_page_says_that_it_was_too_late(signed_in):
    grant = GrantFactory()
    with time_machine.travel(grant.deadline, tick=False):
        expire_due(now=timezone.now())
        client = signed_in(grant.request.requester)
        answer = client.post(reverse("requests:revoke", args=[grant.request_id]))
    assert answer.status_code == 409
