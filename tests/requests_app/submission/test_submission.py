"""Submission: what comes from the flow, what is refused, and what is pending MFA."""

from datetime import time, timedelta

import pytest
import time_machine
from django.conf import settings
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from mfa.verification.locking import advance_epoch
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    FlowTargetFactory,
    GroupFactory,
    UserFactory,
)
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db
JUSTIFICATION = "Backfill carrier_id, OPS-4821"


@pytest.fixture
def user():
    return UserFactory()


def ask(user, flow, *, window=None, targets=None, **changes):
    arguments = {"duration": timedelta(hours=1), "justification": JUSTIFICATION} | changes
    ids = [each.pk for each in flow.targets.all()] if targets is None else targets
    return submit_request(actor=user, flow=flow, target_ids=ids, window=window, **arguments)


def refusal(*args, **kwargs):
    with pytest.raises(RequestRefused) as caught:
        ask(*args, **kwargs)
    assert AccessRequest.objects.count() == 0
    return caught.value


def flow_for(user, **fields):
    return AccessFlowFactory(requester_users=[user], **({"targets": 1} | fields))


@pytest.mark.parametrize(
    ("at", "is_open"), [("2026-03-02T12:00Z", True), ("2026-03-03T12:00Z", False)]
)
def test_a_flow_is_available_on_its_days(user, at, is_open):
    mondays = {"available_days": [0], "available_from": time(9), "available_until": time(17)}
    flow = flow_for(user, available_zone="UTC", **mondays)
    with time_machine.travel(at, tick=False):
        if is_open:
            assert ask(user, flow).status == Status.GRANTING
            return
        refused = refusal(user, flow, targets=[0], duration=timedelta(0), justification="")
    assert refused.field == "flow"  # the first of several refusals


def test_the_first_escalation_follows_its_own_wait(user):
    flow = flow_for(user, approval="any_of", approver_users=[UserFactory()])
    for position in (1, 2):
        group, wait = GroupFactory(members=[UserFactory()]), timedelta(hours=position)
        flow.escalation_tiers.create(position=position, wait=wait, group=group)
    with time_machine.travel(timezone.now(), tick=False):
        assert ask(user, flow).escalates_at == timezone.now() + timedelta(hours=1)


def test_an_automatic_flow_starts_granting(user):
    request = ask(user, flow_for(user))
    assert request.status == Status.GRANTING
    assert not request.grants.exists()


def test_a_flow_with_approvers_waits_for_them(user):
    request = ask(user, flow_for(user, approval="any_of", approver_users=[UserFactory()]))
    assert request.status == Status.PENDING_APPROVAL
    wait = request.pending_until - timezone.now()
    assert timedelta(0) <= settings.APPROVAL_LIFETIME - wait < timedelta(minutes=1)


def test_the_request_stores_the_flow_as_it_is_now(user):
    flow = flow_for(user, max_duration=timedelta(hours=3))
    request = ask(user, flow)
    assert (request.flow_name, request.flow_fingerprint) == (flow.name, flow.fingerprint)
    assert request.max_duration == timedelta(hours=3)
    assert request.requester_label == str(user)
    target, requested = flow.targets.get(), request.targets.get()
    assert (requested.resource, requested.permission) == (
        target.resource.name,
        target.permission.name,
    )


def test_group_members_are_requesters():
    user = UserFactory()
    flow = AccessFlowFactory(requester_groups=[GroupFactory(members=[user])], targets=1)
    assert ask(user, flow).requester == user


def test_a_non_requester_is_refused(user):
    assert refusal(user, flow_for(UserFactory())).field == "flow"


def test_an_inactive_flow_is_refused(user):
    assert refusal(user, flow_for(user, is_active=False)).field == "flow"


def test_a_deleted_flow_is_refused(user):
    flow = flow_for(user)
    ids = [flow.targets.get().pk]
    type(flow).objects.filter(pk=flow.pk).delete()
    assert refusal(user, flow, targets=ids).field == "flow"


def test_a_deactivated_user_is_refused(user):
    flow = flow_for(user)
    type(user).objects.update(is_active=False)
    assert refusal(user, flow).field == "flow"


def test_a_target_of_another_flow_is_refused(user):
    flow, other = flow_for(user), flow_for(user)
    ids = [flow.targets.get().pk, other.targets.get().pk]
    assert refusal(user, flow, targets=ids).field == "targets"


def test_no_target_is_refused(user):
    assert refusal(user, flow_for(user), targets=[]).field == "targets"


@pytest.mark.parametrize("gone", ["resource", "permission", "integration"])
def test_a_missing_target_is_refused(user, gone):
    flow = flow_for(user)
    target = flow.targets.get()
    if gone == "integration":
        type(target.resource.integration).objects.update(is_active=False)
    else:
        type(getattr(target, gone)).objects.update(missing_since=timezone.now())
    assert refusal(user, flow).field == "targets"


def test_only_selected_targets_are_requested(user):
    flow = flow_for(user, targets=2)
    first = flow.targets.first()
    assert [each.resource for each in ask(user, flow, targets=[first.pk]).targets.all()] == [
        first.resource.name
    ]


@pytest.mark.parametrize("minutes", [0, -5, 8 * 60 + 1])
def test_a_duration_outside_the_flow_is_refused(user, minutes):
    refused = refusal(user, flow_for(user), duration=timedelta(minutes=minutes))
    assert refused.field == "duration"


def test_the_longest_duration_is_allowed(user):
    assert ask(user, flow_for(user), duration=timedelta(hours=8)).status == Status.GRANTING


@pytest.mark.parametrize(
    "justification",
    [
        "",
        "  \n\t",
        "...!?",
        "🔥🔥",
        "test test TEST",
        "Test, test. TEST!",
        "testtest",
        "te\u200bst te\u200bst",
        "xxxx",
        "x",
        "1111",
        "修复修复",
        "fix it " * 300,
        "a\x00b",
        "bell\x07 rings",
    ],
)
def test_a_meaningless_justification_is_refused(user, justification):
    assert refusal(user, flow_for(user), justification=justification).field == "justification"


@pytest.mark.parametrize(
    "justification",
    ["OPS-4821", "修复损坏的订单", "{0.__class__} <script>", "line\r\nline two", "yz" + "y" * 1998],
)
def test_a_meaningful_justification_is_stored_as_text(user, justification):
    assert ask(
        user, flow_for(user), justification=justification
    ).justification == justification.replace("\r\n", "\n")


def test_a_flow_may_not_require_a_justification(user):
    flow = flow_for(user, require_justification=False)
    assert ask(user, flow, justification="").justification == ""


def test_a_protected_request_with_a_closed_window_is_pending_mfa(user):
    AuthenticatorFactory(user=user)
    request = ask(user, flow_for(user, require_mfa=True))
    assert (request.status, request.verified_at) == (Status.PENDING_MFA, None)
    wait = request.pending_until - timezone.now()
    assert timedelta(0) <= settings.PENDING_MFA_LIFETIME - wait < timedelta(minutes=1)
    events = set(Event.objects.about_request(request.pk).values_list("event", flat=True))
    assert events == {EventName.REQUEST_SUBMIT, EventName.REQUEST_AWAIT_MFA}


def test_a_protected_request_with_an_open_window_goes_straight_through(user, open_window_of):
    window = open_window_of(user)
    request = ask(user, flow_for(user, require_mfa=True), window=window)
    assert request.status == Status.GRANTING
    assert request.verification_id == window.verification_id
    assert request.verified_at == window.verified_at
    assert request.verified_with == "Authentication app"


def test_a_window_of_another_user_leaves_it_pending_mfa(user, open_window_of):
    window = open_window_of(UserFactory())
    assert ask(user, flow_for(user, require_mfa=True), window=window).status == Status.PENDING_MFA


def test_a_window_from_before_a_reset_leaves_it_pending_mfa(user, open_window_of):
    window = open_window_of(user)
    advance_epoch(user=user)
    assert ask(user, flow_for(user, require_mfa=True), window=window).status == Status.PENDING_MFA


def test_a_window_older_than_an_hour_leaves_it_pending_mfa(user, open_window_of):
    window = open_window_of(user)
    flow = flow_for(user, require_mfa=True)
    with time_machine.travel(window.closes_at, tick=False):
        assert ask(user, flow, window=window).status == Status.PENDING_MFA


def test_a_protected_flow_requires_mfa_although_another_does_not(user):
    strict, lax = flow_for(user, require_mfa=True), flow_for(user, targets=0)
    target = strict.targets.get()
    FlowTargetFactory(flow=lax, resource=target.resource, permission=target.permission)
    assert ask(user, strict).status == Status.PENDING_MFA
