"""Approving and rejecting: by whom, on what, and once."""

from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse

from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from requests_app.approvals.review import review_digest
from requests_app.approvals.selectors import rights_of
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.revocation import cancel_request
from requests_app.models import Decision, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GroupFactory,
    UserFactory,
    take_fingerprint,
)

pytestmark = pytest.mark.django_db
APPROVE, REJECT = Decision.Verdict.APPROVE, Decision.Verdict.REJECT


@pytest.fixture
def approver():
    return UserFactory(name="Theo Brandt")


def waiting(approver, **fields):
    requester = fields.pop("requester", None) or UserFactory()
    terms = {"approval": "any_of", "approver_users": [approver], "targets": 1} | fields
    flow = AccessFlowFactory(requester_users=[requester], **terms)
    return AccessRequestFactory(requester=requester, flow=flow, status=Status.PENDING_APPROVAL)


def decide(actor, request, verdict=APPROVE, *, reason="", window=None, fingerprint=None):
    return decide_request(
        actor=actor,
        request=request,
        verdict=verdict,
        reason=reason,
        fingerprint=fingerprint or request.flow_fingerprint,
        window=window,
    )


def status_of(request):
    request.refresh_from_db()
    return request.status


def test_approver_approves(approver):
    request = waiting(approver)
    assert decide(approver, request).status == Status.GRANTING
    event = Event.objects.get(event=EventName.REQUEST_APPROVE)
    assert (event.actor_label, event.request_label) == (str(approver), request.reference)


def test_approver_rejects_with_a_reason(approver):
    request = waiting(approver)
    decide(approver, request, REJECT, reason="Use the staging copy.")
    assert status_of(request) == Status.REJECTED
    assert request.message == "Use the staging copy."


def test_rejecting_needs_a_reason(approver):
    request = waiting(approver)
    with pytest.raises(RequestRefused) as refused:
        decide(approver, request, REJECT, reason=" ... ")
    assert (refused.value.field, status_of(request)) == ("reason", Status.PENDING_APPROVAL)


def test_approving_needs_a_reason_where_the_flow_says_so(approver):
    request = waiting(approver, require_approver_reason=True)
    with pytest.raises(RequestRefused):
        decide(approver, request)
    assert decide(approver, request, reason="Matches INC-733").status == Status.GRANTING


def test_a_member_of_an_approver_group_approves(approver):
    group = GroupFactory(members=[approver])
    request = waiting(approver, approver_users=[], approver_groups=[group])
    assert decide(approver, request).status == Status.GRANTING


def test_admin_who_is_no_approver_cannot_decide(approver):
    request = waiting(approver)
    with pytest.raises(RequestRefused):
        decide(UserFactory(admin=True), request)
    assert status_of(request) == Status.PENDING_APPROVAL


def test_requester_cannot_approve_own_request(approver):
    request = waiting(approver, requester=approver)
    with pytest.raises(RequestRefused):
        decide(approver, request)
    assert not Decision.objects.exists()


def test_a_flow_may_let_requesters_approve(approver):
    request = waiting(approver, requester=approver, allow_self_approval=True)
    assert decide(approver, request).status == Status.GRANTING


def test_a_removed_approver_cannot_decide(approver):
    group = GroupFactory(members=[approver])
    request = waiting(approver, approver_users=[], approver_groups=[group])
    group.user_set.clear()
    with pytest.raises(RequestRefused):
        decide(approver, request)


def test_a_deactivated_approver_cannot_decide(approver):
    request = waiting(approver)
    approver.is_active = False
    approver.save()
    with pytest.raises(RequestRefused):
        decide(approver, request)


def test_one_from_each_group_takes_both(approver):
    other = UserFactory()
    groups = [GroupFactory(members=[approver]), GroupFactory(members=[other])]
    request = waiting(approver, approval="all_of", approver_users=[], approver_groups=groups)
    assert decide(approver, request).status == Status.PENDING_APPROVAL
    assert decide(other, request).status == Status.GRANTING


def test_approval_that_needs_more_is_recorded_as_such(approver):
    groups = [GroupFactory(members=[member]) for member in (approver, UserFactory())]
    request = waiting(approver, approval="all_of", approver_users=[], approver_groups=groups)
    decide(approver, request, reason="Matches INC-733")
    assert status_of(request) == Status.PENDING_APPROVAL
    event = Event.objects.get(event=EventName.REQUEST_APPROVE)
    assert (event.actor_id, event.metadata["needs_more_approvals"]) == (approver.pk, True)
    assert event.metadata["reason"] == "Matches INC-733"


@pytest.mark.parametrize(("before_s", "is_over"), [(1, False), (0, True)])
def test_deadline_counts_to_the_second(approver, before_s, is_over):
    request = waiting(approver)
    with time_machine.travel(request.pending_until - timedelta(seconds=before_s), tick=False):
        if is_over:
            with pytest.raises(Conflict, match="is over"):
                decide(approver, request)
        else:
            assert decide(approver, request).status == Status.GRANTING


def test_approver_cannot_approve_twice(approver):
    groups = [GroupFactory(members=[approver]), GroupFactory(members=[UserFactory()])]
    request = waiting(approver, approval="all_of", approver_users=[], approver_groups=groups)
    decide(approver, request)
    with pytest.raises(Conflict, match="already approved"):
        decide(approver, request)


def test_cancelled_request_cannot_be_approved(approver):
    groups = [GroupFactory(members=[approver]), GroupFactory(members=[UserFactory()])]
    request = waiting(approver, approval="all_of", approver_users=[], approver_groups=groups)
    cancel_request(actor=request.requester, request=request)
    with pytest.raises(Conflict, match="has been Cancelled"):
        decide(approver, request)
    assert not Decision.objects.exists()


def test_empty_group_approves_nothing(approver):
    groups = [GroupFactory(members=[approver]), GroupFactory()]
    request = waiting(approver, approval="all_of", approver_users=[], approver_groups=groups)
    assert decide(approver, request).status == Status.PENDING_APPROVAL


def test_second_decision_names_who_decided_first(approver):
    other = UserFactory()
    request = waiting(approver, approver_users=[approver, other])
    decide(approver, request)
    with pytest.raises(Conflict, match="Theo Brandt"):
        decide(other, request, REJECT, reason="Too late")
    assert status_of(request) == Status.GRANTING


def test_outdated_page_decides_nothing(approver):
    request = waiting(approver)
    with pytest.raises(Conflict, match="out of date"):
        decide(approver, request, fingerprint="f" * 64)
    assert status_of(request) == Status.PENDING_APPROVAL


def test_changed_flow_cancels_the_request(approver):
    request = waiting(approver)
    request.flow.require_mfa = True
    request.flow.save()
    take_fingerprint(request.flow)
    with pytest.raises(Conflict, match="was changed after"):
        decide(approver, request)
    assert status_of(request) == Status.CANCELLED


def test_changed_server_cancels_the_request(approver):
    request = waiting(approver)
    integration = request.flow.targets.get().resource.integration
    type(integration).objects.update(host="elsewhere.example")
    with pytest.raises(Conflict):
        decide(approver, request)
    assert status_of(request) == Status.CANCELLED


def test_request_past_its_deadline_cannot_be_decided(approver):
    request = waiting(approver)
    with time_machine.travel(request.pending_until + timedelta(seconds=1)), pytest.raises(Conflict):
        decide(approver, request)


def test_protected_request_requires_the_approvers_own_mfa(approver, open_window_of):
    request = waiting(approver, require_mfa=True)
    with pytest.raises(WindowClosed):
        decide(approver, request, window=open_window_of(request.requester))
    assert status_of(request) == Status.PENDING_APPROVAL
    assert decide(approver, request, window=open_window_of(approver)).status == Status.GRANTING
    assert Decision.objects.get().verification.user == approver


# --- The pages ---------------------------------------------------------------------------------
def post(client, action, request, **data):
    fields = {
        "fingerprint": request.flow_fingerprint,
        "digest": review_digest(request, rights_of(request)),
        "reason": "",
    } | data
    return client.post(reverse(f"requests:{action}", args=[request.pk]), fields)


def test_the_page_approves(approver, signed_in):
    request = waiting(approver)
    answer = post(signed_in(approver), "approve", request)
    assert answer.headers["Location"] == reverse("requests:approvals")
    assert status_of(request) == Status.GRANTING


def test_the_page_keeps_what_was_typed_when_it_refuses(approver, signed_in):
    request = waiting(approver)
    answer = post(signed_in(approver), "reject", request, reason="!?")
    assert answer.status_code == 422
    assert "!?" in answer.content.decode()


def test_page_names_who_decided_first(approver, signed_in):
    other = UserFactory()
    request = waiting(approver, approver_users=[approver, other])
    decide(other, request)
    answer = post(signed_in(approver), "approve", request)
    assert answer.status_code == 409
    assert other.name in answer.content.decode()


def test_page_redirects_to_the_code_and_keeps_the_reason(approver, signed_in, open_window_of):
    open_window_of(approver)
    request = waiting(approver, require_mfa=True)
    client = signed_in(approver)
    answer = post(client, "reject", request, reason="Use the staging copy.")
    assert answer.headers["Location"].startswith(reverse("requests:step_up"))
    page = client.get(reverse("requests:decide", args=[request.pk])).content.decode()
    assert "Use the staging copy." in page


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_get_decides_nothing(approver, signed_in, action):
    request = waiting(approver)
    assert (
        signed_in(approver).get(reverse(f"requests:{action}", args=[request.pk])).status_code == 405
    )


def test_requester_finds_no_decision_page(approver, signed_in):
    request = waiting(approver)
    answer = post(signed_in(request.requester), "approve", request)
    assert answer.status_code == 404
