"""What is checked once more before anything is done on a target."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accessflows.models import Integration
from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator
from mfa.verification.locking import advance_epoch
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.grants.activation import begin_activation
from requests_app.models import GrantState, Status
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    UserFactory,
    code_for,
    set_requesters,
    sign,
    take_fingerprint,
)

pytestmark = pytest.mark.django_db


def granting(**flow):
    requester = UserFactory()
    made = AccessFlowFactory(requester_users=[requester], **({"targets": 1} | flow))
    return AccessRequestFactory(requester=requester, flow=made)


def begun(request):
    begin_activation(request_pk=request.pk)
    request.refresh_from_db()
    return request


def test_grants_are_written_first_with_their_deadline():
    before = timezone.now()
    request = begun(granting(targets=2))
    grants = list(request.grants.all())
    assert [grant.state for grant in grants] == [GrantState.ACTIVATING] * 2
    for grant in grants:
        assert before <= grant.deadline - request.duration <= timezone.now()
    assert Event.objects.filter(event=EventName.REQUEST_GRANT).count() == 1


def test_beginning_again_keeps_the_deadline():
    request = begun(granting())
    deadline = request.grants.get().deadline
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        begun(request)
    assert request.grants.get().deadline == deadline


def test_a_deactivated_user_gets_nothing():
    request = granting()
    type(request.requester).objects.update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert not request.grants.exists()


def test_a_user_removed_from_the_group_gets_nothing():
    request = granting()
    set_requesters(request.flow, users=[UserFactory()])
    assert begun(request).status == Status.CANCELLED


def test_a_deactivated_flow_grants_nothing():
    request = granting()
    type(request.flow).objects.update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert "deactivated" in request.message


def test_a_changed_flow_grants_nothing():
    request = granting()
    set_requesters(request.flow, users=[request.requester, UserFactory()])
    take_fingerprint(request.flow)
    assert begun(request).status == Status.CANCELLED


def test_a_changed_server_address_voids_the_approval():
    request = granting()
    Integration.objects.update(port=2)
    assert begun(request).status == Status.CANCELLED


def test_a_missing_resource_is_not_granted():
    request = granting()
    type(request.flow.targets.get().resource).objects.update(missing_since=timezone.now())
    assert begun(request).status == Status.CANCELLED


def approved(**flow):
    approver = UserFactory()
    request = granting(approval="any_of", approver_users=[approver], **flow)
    DecisionFactory(request=request, approver=approver)
    return request, approver


def test_a_valid_approval_activates():
    request, _ = approved()
    assert begun(request).grants.count() == 1


def test_an_approval_by_a_deactivated_user_does_not_count():
    request, approver = approved()
    type(approver).objects.filter(pk=approver.pk).update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert "approver" in request.message


def test_without_approval_nothing_is_activated():
    request = granting(approval="any_of", approver_users=[UserFactory()])
    assert begun(request).status == Status.CANCELLED


def test_evidence_from_before_a_reset_returns_to_pending_mfa():
    request = granting(require_mfa=True)
    advance_epoch(user=request.requester)
    assert begun(request).status == Status.PENDING_MFA
    assert (request.verified_at, request.verification) == (None, None)
    assert not request.grants.exists()


def test_evidence_of_a_removed_authenticator_returns_to_pending_mfa():
    request = granting(require_mfa=True)
    Authenticator.objects.filter(user=request.requester).delete()
    assert begun(request).status == Status.PENDING_MFA


def test_a_request_pending_mfa_again_continues_with_a_new_code():
    request = granting(require_mfa=True)
    advance_epoch(user=request.requester)
    begun(request)
    Authenticator.objects.filter(user=request.requester).delete()
    device = AuthenticatorFactory(user=request.requester)
    step_up(user=request.requester, code=code_for(device), scope=ThrottleScope())
    assert begun(request).grants.count() == 1


def test_evidence_older_than_the_window_still_activates():
    request = granting(require_mfa=True)
    type(request).objects.update(pending_until=timezone.now() + timedelta(days=1))
    sign(request)
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        assert begun(request).grants.count() == 1


def test_a_request_not_provisioned_in_time_fails():
    request = granting()
    with time_machine.travel(request.pending_until):
        assert begun(request).status == Status.FAILED
    assert "Request access again" in request.message


@pytest.mark.parametrize("status", [Status.PENDING_MFA, Status.CANCELLED, Status.ACTIVE])
def test_only_granting_requests_begin(status):
    request = AccessRequestFactory(status=status)
    assert begun(request).status == status
    assert not request.grants.exists()
