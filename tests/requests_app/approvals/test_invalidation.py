"""A reset of the approver's MFA voids their approvals."""

import pytest

from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.services import reset_mfa_of_user
from audit.events import EventName
from audit.models import Event
from mfa.verification.locking import advance_epoch
from requests_app.approvals.services import decide_request
from requests_app.grants.activation import begin_activation, confirm_activation
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    DecisionFactory,
    GroupFactory,
    UserFactory,
    fresh_window,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def approver():
    return UserFactory(name="Theo Brandt")


def approved(approver, status=Status.GRANTING, *, require_mfa=True, **terms):
    requester = UserFactory()
    terms = {"approval": "any_of", "approver_users": [approver]} | terms
    flow = AccessFlowFactory(
        require_mfa=require_mfa, requester_users=[requester], targets=1, **terms
    )
    request = AccessRequestFactory(requester=requester, flow=flow, status=status)
    DecisionFactory(request=request, approver=approver)
    return request


def reset(user):
    reset_mfa_of_user(
        actor=(admin := UserFactory(admin=True)),
        window=fresh_window(admin),
        user=user,
        reason="Phone stolen",
        revoke_access=False,
        client_info=SYSTEM,
    )


def test_valid_approval_grants_access(approver):
    request = approved(approver)
    assert begin_activation(request_pk=request.pk).grants.exists()


def test_reset_of_the_approver_reopens_the_request(approver):
    request = approved(approver)
    reset(approver)
    request = begin_activation(request_pk=request.pk)
    assert (request.status, request.grants.exists()) == (Status.PENDING_APPROVAL, False)
    assert "The approval by Theo Brandt" in request.message
    assert request.decisions.count() == 0


def test_voided_approval_and_reopened_request_are_recorded(approver):
    request = approved(approver)
    evidence = request.decisions.get().verification_id
    reset(approver)
    begin_activation(request_pk=request.pk)
    void = Event.objects.get(event=EventName.REQUEST_VOID_APPROVAL)
    assert (void.metadata["approver"], void.metadata["verification"]) == (str(approver), evidence)
    assert Event.objects.get(event=EventName.REQUEST_REOPEN).request_id == request.pk


def test_new_epoch_voids_an_approval(approver):
    request = approved(approver)
    advance_epoch(user=approver)
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_APPROVAL


def test_reset_voids_nothing_where_no_mfa_is_required(approver, open_window_of):
    open_window_of(approver)
    request = approved(approver, require_mfa=False)
    reset(approver)
    assert begin_activation(request_pk=request.pk).grants.exists()


def test_one_valid_approval_is_enough(approver):
    other = UserFactory()
    request = approved(approver, approver_users=[approver, other])
    DecisionFactory(request=request, approver=other)
    reset(approver)
    assert begin_activation(request_pk=request.pk).grants.exists()
    assert [decision.approver for decision in request.decisions.all()] == [other]


def all_of(approver, other):
    groups = [GroupFactory(members=[approver]), GroupFactory(members=[other])]
    return approved(
        approver,
        Status.PENDING_APPROVAL,
        approval=AccessFlow.Approval.ALL_OF,
        approver_users=[],
        approver_groups=groups,
    )


def approve(request, actor, window):
    return decide_request(
        actor=actor,
        request=request,
        verdict="approve",
        reason="",
        fingerprint=request.flow_fingerprint,
        window=window,
    )


def test_void_approval_does_not_complete_others(approver, open_window_of):
    other = UserFactory()
    request = all_of(approver, other)
    advance_epoch(user=approver)
    assert approve(request, other, open_window_of(other)).status == Status.PENDING_APPROVAL
    assert approve(request, approver, open_window_of(approver)).status == Status.GRANTING


def test_reset_returns_pending_requests_to_the_queue(approver):
    request = all_of(approver, UserFactory())
    assert request not in AccessRequest.objects.awaiting_decision_by(approver)
    reset(approver)
    assert request in AccessRequest.objects.awaiting_decision_by(approver)


def test_reset_of_another_user_voids_nothing(approver, open_window_of):
    other = UserFactory()
    request = all_of(approver, other)
    open_window_of(other)
    reset(other)
    assert request.decisions.count() == 1


def test_approval_voided_during_activation_fails_the_request(approver):
    request = approved(approver)
    begin_activation(request_pk=request.pk)
    reset(approver)
    assert not confirm_activation(grant=request.grants.get())
    request.refresh_from_db()
    assert request.status == Status.FAILED
    assert "approver's MFA was reset" in request.message


def test_approval_of_a_deleted_approver_stays_but_counts_for_nothing(approver):
    request = approved(approver)
    approver.delete()
    assert begin_activation(request_pk=request.pk).status == Status.CANCELLED
    assert request.decisions.get().approver_label == str(approver)
