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


def test_the_intent_is_written_first_with_its_deadline():
    before = timezone.now()
    request = begun(granting(targets=2))
    grants = list(request.grants.all())
    assert [grant.state for grant in grants] == [GrantState.ACTIVATING] * 2
    for grant in grants:
        assert before <= grant.deadline - request.duration <= timezone.now()
    assert Event.objects.filter(event=EventName.REQUEST_GRANT).count() == 1


def test_beginning_again_moves_no_deadline():
    request = begun(granting())
    deadline = request.grants.get().deadline
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        begun(request)
    assert request.grants.get().deadline == deadline


def test_a_deactivated_person_gets_nothing():
    request = granting()
    type(request.requester).objects.update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert not request.grants.exists()


def test_a_person_out_of_the_group_gets_nothing():
    request = granting()
    request.flow.requester_users.set([UserFactory()])
    assert begun(request).status == Status.CANCELLED


def test_a_flow_switched_off_gives_nothing():
    request = granting()
    type(request.flow).objects.update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert "deactivated" in request.message


def test_a_changed_flow_gives_nothing():
    request = granting()
    request.flow.requester_users.add(UserFactory())
    take_fingerprint(request.flow)
    assert begun(request).status == Status.CANCELLED


def test_a_server_that_moved_is_not_the_one_approved():
    request = granting()
    Integration.objects.update(port=2)
    assert begun(request).status == Status.CANCELLED


def test_a_vanished_resource_is_not_given():
    request = granting()
    type(request.flow.targets.get().resource).objects.update(missing_since=timezone.now())
    assert begun(request).status == Status.CANCELLED


def approved(**flow):
    approver = UserFactory()
    request = granting(approval="any_of", approver_users=[approver], **flow)
    DecisionFactory(request=request, approver=approver)
    return request, approver


def test_a_standing_approval_opens():
    request, _ = approved()
    assert begun(request).grants.count() == 1


def test_an_approval_of_somebody_deactivated_does_not_open():
    request, approver = approved()
    type(approver).objects.filter(pk=approver.pk).update(is_active=False)
    assert begun(request).status == Status.CANCELLED
    assert "approver" in request.message


def test_no_approval_does_not_open():
    request = granting(approval="any_of", approver_users=[UserFactory()])
    assert begun(request).status == Status.CANCELLED


def test_evidence_of_before_a_reset_parks_again():
    request = granting(require_mfa=True)
    advance_epoch(user=request.requester)
    assert begun(request).status == Status.PENDING_MFA
    assert (request.verified_at, request.verification) == (None, None)
    assert not request.grants.exists()


def test_evidence_of_a_removed_authenticator_parks_again():
    request = granting(require_mfa=True)
    Authenticator.objects.filter(user=request.requester).delete()
    assert begun(request).status == Status.PENDING_MFA


def test_a_request_parked_again_goes_on_with_a_new_code():
    request = granting(require_mfa=True)
    advance_epoch(user=request.requester)
    begun(request)
    Authenticator.objects.filter(user=request.requester).delete()
    device = AuthenticatorFactory(user=request.requester)
    step_up(user=request.requester, code=code_for(device), scope=ThrottleScope())
    assert begun(request).grants.count() == 1


def test_evidence_older_than_the_hour_still_opens():
    request = granting(require_mfa=True)
    type(request).objects.update(pending_until=timezone.now() + timedelta(days=1))
    with time_machine.travel(timezone.now() + timedelta(hours=3)):
        assert begun(request).grants.count() == 1


def test_a_request_nobody_opened_in_time_fails():
    request = granting()
    with time_machine.travel(request.pending_until):
        assert begun(request).status == Status.FAILED
    assert "Request access again" in request.message


@pytest.mark.parametrize("status", [Status.PENDING_MFA, Status.CANCELLED, Status.ACTIVE])
def test_only_what_may_go_on_begins(status):
    request = AccessRequestFactory(status=status)
    assert begun(request).status == status
    assert not request.grants.exists()
