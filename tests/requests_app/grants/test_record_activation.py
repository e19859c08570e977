"""Activation is recorded on its grant only; with the last one the request is active."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accessflows.connectors.protocol import (
    Activation,
    GrantIdentity,
    PermissionEntry,
    PermissionState,
)
from accessflows.models import AccessFlow
from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator
from mfa.verification.locking import advance_epoch
from requests_app.grants.activation import (
    begin_activation,
    confirm_activation,
    fail_activation,
    record_activation,
)
from requests_app.grants.reminders import reminder_time
from requests_app.models import AccessRequest, Decision, Grant, GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    DecisionFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db
WORKER = "worker-of-the-tests"
READ, READ_KEY = "read", ":role:read"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(1_800_000_000, tick=False) as travel:
        yield travel


def begun(targets=1, **flow):
    """A request whose grants a worker holds."""
    requester = UserFactory()
    made = AccessFlowFactory(requester_users=[requester], targets=targets, **flow)
    request = AccessRequestFactory(requester=requester, flow=made)
    if made.approval != "automatic":
        DecisionFactory(request=request, approver=made.approver_users.get())
    begin_activation(request_pk=request.pk)
    request.grants.update(lease_by=WORKER)
    request.refresh_from_db()
    assert request.status == Status.GRANTING
    return request


def made_for(grant) -> Activation:
    return Activation(
        identity=GrantIdentity(f"jit_{grant.pk}", "42", "7"),
        server_version="18",
        server_time=timezone.now(),
        clock_skew=timedelta(seconds=2),
        valid_until=grant.deadline - timedelta(seconds=1),
        already_existed=False,
    )


def note(grant, lease=WORKER) -> bool:
    done = record_activation(grant=grant, lease=lease, activation=made_for(grant))
    grant.refresh_from_db()
    grant.request.refresh_from_db()
    return done


def rows(request):
    return list(request.grants.order_by("pk").values())


def test_activation_stores_the_enforced_end_and_releases_the_lease():
    grant = begun().grants.get()
    assert note(grant)
    assert (grant.state, grant.activated_at) == (GrantState.ACTIVE, timezone.now())
    assert grant.enforced_until == grant.deadline - timedelta(seconds=1)
    assert (grant.login, grant.login_mark, grant.lease_by) == (f"jit_{grant.pk}", "42", "")
    metadata = Event.objects.get(event=EventName.GRANT_ACTIVATE).metadata
    assert (metadata["login"], metadata["clock_skew_s"]) == (grant.login, 2.0)


def test_login_created_after_the_deadline_is_removed(clock):
    grant = begun().grants.get()
    clock.shift(grant.deadline - timezone.now())
    assert not note(grant)
    assert (grant.request.status, grant.request.starts_at) == (Status.FAILED, None)
    assert (grant.state, grant.login_mark) == (GrantState.REVOKING, "42")


def test_the_request_is_active_with_its_last_grant_until_the_first_deadline(clock):
    request = begun(targets=2)
    first, second = request.grants.order_by("pk")
    assert note(first)
    assert first.request.status == Status.GRANTING
    sooner = second.deadline - timedelta(minutes=5)
    Grant.objects.filter(pk=second.pk).update(deadline=sooner)
    clock.shift(3)
    assert note(second)
    request.refresh_from_db()
    assert (request.status, request.starts_at) == (Status.ACTIVE, timezone.now())
    assert request.ends_at == sooner
    assert request.remind_at == reminder_time(request.starts_at, sooner)
    assert request.pending_until is None


def state_after(first: Grant, *keys: str) -> list[str]:
    """Activate another grant on the same integration; return what counts as given before it."""
    grant = begun().grants.get()
    Grant.objects.filter(pk=grant.pk).update(integration=first.integration, permission="read")
    grant.refresh_from_db()
    entries = tuple(PermissionEntry(key, "db", "read", key.split(":")[1], key, "") for key in keys)
    activation = replace(made_for(grant), permission_state=PermissionState(entries, (READ,)))
    record_activation(grant=grant, lease=WORKER, activation=activation)
    grant.refresh_from_db()
    return [key for key in grant.permission_state if key != READ_KEY]


@pytest.mark.parametrize(
    ("before", "now", "stored"),
    [
        (["db:right:1"], ["db:right:1", "db:right:2"], ["db:right:1"]),
        ([], ["db:object:1"], []),
        (["db:object:1"], ["db:object:2"], ["db:object:2"]),  # of a role that owned some before
        (None, ["db:right:1"], ["db:right:1"]),
    ],
)
def test_what_another_grantee_may_have_given_did_not_exist_before(before, now, stored):
    first = begun().grants.get()
    assert note(first)
    state = None if before is None else [*before, READ_KEY]
    Grant.objects.update(permission="read", permission_state=state)
    assert state_after(first, *now) == stored


@pytest.mark.parametrize(("after_s", "stored"), [(1, []), (0, ["db:right:1"])])
def test_what_a_grant_removed_during_the_activation_gave_did_not_exist(after_s, stored):
    first = begun().grants.get()
    assert note(first)
    Grant.objects.update(
        permission="read",
        permission_state=[READ_KEY],
        state=GrantState.REMOVED,
        removed_at=timezone.now() + timedelta(seconds=after_s),
    )
    assert state_after(first, "db:right:1") == stored


@pytest.mark.parametrize(
    ("roles", "stored"),
    [([":role:write"], ["db:right:1"]), ([":role:write", READ_KEY], [])],
)
def test_grants_of_another_permission_are_compared_if_they_share_the_role(roles, stored):
    first = begun().grants.get()
    assert note(first)
    Grant.objects.update(permission="write", permission_state=roles)
    assert state_after(first, "db:right:1") == stored


def test_other_grants_are_not_changed():
    other, mine = begun(), begun()
    before = rows(other)
    assert note(mine.grants.get())
    assert rows(other) == before


def test_a_grant_taken_over_by_another_worker_is_not_activated():
    grant = begun().grants.get()
    assert not note(grant, lease="lost")
    assert (grant.state, grant.login) == (GrantState.ACTIVATING, f"jit_{grant.pk}")
    assert not Event.objects.filter(event=EventName.GRANT_ACTIVATE).exists()


@pytest.mark.parametrize("state", [GrantState.REVOKING, GrantState.REMOVED])
def test_a_grant_revoked_during_activation_is_removed(state):
    grant = begun().grants.get()
    Grant.objects.filter(pk=grant.pk).update(state=state)
    assert not note(grant)
    assert (grant.state, grant.lease_by) == (GrantState.REVOKING, "")
    assert grant.request.status == Status.GRANTING


def test_evidence_voided_during_the_call_activates_nothing():
    request = begun(require_mfa=True)
    advance_epoch(user=request.requester)
    grant = request.grants.get()
    assert not note(grant)
    assert (grant.state, grant.request.status) == (GrantState.REVOKING, Status.FAILED)
    assert "was reset" in grant.request.message


def test_a_failed_request_stays_failed():
    request = begun(require_mfa=True)
    fail_activation(grant=request.grants.get(), sentence="The target refused.")
    advance_epoch(user=request.requester)
    grant = request.grants.get()
    assert not note(grant)
    assert grant.request.message == "The target refused."
    assert Event.objects.filter(event=EventName.REQUEST_FAIL).count() == 1


def test_a_grant_whose_request_was_changed_in_the_database_is_not_activated():
    grant = begun().grants.get()
    AccessRequest.objects.update(status=Status.EXPIRED)
    assert not note(grant)
    assert (grant.state, grant.lease_by) == (GrantState.REVOKING, "")
    assert Event.objects.filter(event=EventName.AUDIT_DETECT_TAMPERING).count() == 1


# Right before the call to the target


def test_confirmation_needs_a_granting_request():
    assert confirm_activation(grant=begun(require_mfa=True).grants.get())


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize("loss", ["epoch", "authenticator"])
def test_a_reset_right_before_the_call_fails_the_request(loss, attempts):
    request = begun(require_mfa=True)
    request.grants.update(attempts=attempts)
    if loss == "epoch":
        advance_epoch(user=request.requester)
    else:
        Authenticator.objects.filter(user=request.requester).delete()
    assert not confirm_activation(grant=request.grants.get())
    request.refresh_from_db()
    assert (request.status, request.ended_at) == (Status.FAILED, timezone.now())


def test_a_reset_does_not_matter_without_required_mfa():
    request = begun()
    advance_epoch(user=request.requester)
    assert confirm_activation(grant=request.grants.get())
    assert note(request.grants.get())


def lose_requester(request):
    set_requesters(request.flow)


def deactivate_requester(request):
    User.objects.filter(pk=request.requester_id).update(is_active=False)


def deactivate_flow(request):
    AccessFlow.objects.update(is_active=False)


def require_mfa(request):
    AccessFlow.objects.update(require_mfa=True)


def lower_maximum(request):
    AccessFlow.objects.update(max_duration=timedelta(minutes=1))


def withdraw_approval(request):
    Decision.objects.all().delete()


@pytest.mark.parametrize("attempts", [0, 1])
@pytest.mark.parametrize(
    "change",
    [
        lose_requester,
        deactivate_requester,
        deactivate_flow,
        require_mfa,
        lower_maximum,
        withdraw_approval,
    ],
)
def test_eligibility_is_checked_at_every_attempt(change, attempts):
    request = begun(approval="any_of", approver_users=[UserFactory()])
    request.grants.update(attempts=attempts)
    change(request)
    assert not confirm_activation(grant=request.grants.get())
    request.refresh_from_db()
    assert request.status == Status.FAILED


def test_an_approval_without_evidence_activates_nothing():
    request = begun(require_mfa=True, approval="any_of", approver_users=[UserFactory()])
    Decision.objects.all().delete()
    grant = request.grants.get()
    assert not note(grant)
    assert "approver's MFA was reset" in grant.request.message


def test_a_request_in_revocation_is_not_confirmed():
    request = begun()
    type(request).objects.update(status=Status.REVOKING)
    assert confirm_activation(grant=request.grants.get()) is False


def test_a_long_reason_is_truncated():
    request = begun()
    fail_activation(grant=request.grants.get(), sentence="x" * 600)
    request.refresh_from_db()
    assert request.message == "x" * 500
