"""Break-glass access skips approval, never verification; it needs a reason, and admins are notified."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from accessflows.exceptions import InvalidInput
from accessflows.flows.fingerprint import compute_fingerprint
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import AccessFlow
from apono_portal.notifications.models import EmailOptOut
from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import RequestRefused
from requests_app.grants.activation import begin_activation
from requests_app.models import Status
from requests_app.policies import NOT_AUTHENTIC
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory, fresh_window
from tests.fixtures.submission import submit_request
from tests.notifications.conftest import emailed, run_fan_out
from tests.requests_app.break_glass.conftest import REASON, emergency_flow

pytestmark = pytest.mark.django_db


def submit(flow, requester, *, window=None, justification=REASON):
    return submit_request(
        actor=requester,
        flow=flow,
        target_ids=list(flow.targets.values_list("pk", flat=True)),
        duration=timedelta(hours=1),
        justification=justification,
        window=window,
    )


def errors_of(**changes):
    flow = emergency_flow(UserFactory())
    terms = FlowInput(**vars(FlowInput.of(flow)) | changes)
    with pytest.raises(InvalidInput) as refused:
        check_terms(terms, flow=flow)
    return refused.value.errors


def test_no_approval_is_needed_in_an_open_window(flow, requester):
    request = submit(flow, requester, window=fresh_window(requester))
    assert (request.status, request.break_glass) == (Status.GRANTING, True)


def test_without_a_verification_it_waits_for_one(flow, requester):
    assert submit(flow, requester).status == Status.PENDING_MFA


def test_a_reason_is_demanded(flow, requester):
    with pytest.raises(RequestRefused) as refused:
        submit(flow, requester, window=fresh_window(requester), justification=" ")
    assert refused.value.field == "justification"


def test_the_flow_must_require_mfa():
    assert errors_of(require_mfa=False)["require_mfa"] == (
        "Break-glass access requires MFA. Turn on Require MFA."
    )


def test_the_flow_must_have_no_approvers_and_demand_a_justification():
    approver = frozenset({UserFactory().pk})
    errors = errors_of(
        approval=AccessFlow.Approval.ANY_OF, approver_users=approver, require_justification=False
    )
    assert set(errors) == {"approval", "require_justification"}


@pytest.mark.parametrize(
    "weaker", [{"require_mfa": False}, {"require_justification": False}, {"approval": "any_of"}]
)
def test_the_database_refuses_a_weaker_flow(weaker):
    with pytest.raises(IntegrityError):
        AccessFlowFactory(**{"break_glass": True, "require_mfa": True} | weaker)


def test_the_toggle_changes_the_fingerprint(flow):
    before = compute_fingerprint(flow)
    flow.break_glass = False
    assert compute_fingerprint(flow) != before


def test_a_request_that_hides_its_mark_is_cancelled(flow, requester):
    request = AccessRequestFactory(requester=requester, flow=flow)
    type(request).objects.filter(pk=request.pk).update(break_glass=False)
    assert begin_activation(request_pk=request.pk).message == NOT_AUTHENTIC


def test_all_admins_are_notified_at_once_whatever_they_opted_out_of(flow, requester):
    admins = [UserFactory(admin=True), UserFactory(admin=True)]
    EmailOptOut.objects.create(user=admins[0], kind="break_glass")
    request = submit(flow, requester, window=fresh_window(requester))
    begin_activation(request_pk=request.pk)
    run_fan_out()
    notified = [to for to, subject in emailed() if subject.find("Break-glass access used") >= 0]
    assert sorted(notified) == sorted(admin.email for admin in admins)


def test_every_event_about_it_is_marked(flow, requester):
    request = submit(flow, requester, window=fresh_window(requester))
    begin_activation(request_pk=request.pk)
    events = Event.objects.about_request(request.pk)
    assert {event.event for event in events} >= {EventName.REQUEST_SUBMIT, "request:break_glass"}
    assert all(event.is_break_glass for event in events)


def test_other_access_is_not_marked():
    request = AccessRequestFactory()
    begin_activation(request_pk=request.pk)
    assert not any(event.is_break_glass for event in Event.objects.about_request(request.pk))


def test_a_reset_of_mfa_asks_for_a_verification_again(flow, requester):
    request = submit(flow, requester, window=fresh_window(requester))
    requester.mfa_state.epoch += 1
    requester.mfa_state.save()
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_MFA
