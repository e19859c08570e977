"""Two at once: exactly one outcome, and the other is refused. Real threads, each with its connection.

On PostgreSQL they truly overlap; on SQLite writers stand in a row, and the rules hold as well.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from apono_portal.core.web.client import SYSTEM
from audit.events import EventName
from audit.models import Event
from mfa.reset import reset_mfa
from mfa.verification.locking import advance_epoch
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.active_access.services import revoke_everything_on
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict
from requests_app.grants.activation import begin_activation
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.grants.leases import claim
from requests_app.grants.revocation import cancel_request, expire_due, revoke_access
from requests_app.models import AccessRequest, Decision, Grant, GrantState, Status
from requests_app.submission.selection import Selection
from requests_app.submission.services import submit_requests
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    UserFactory,
    code_for,
    fresh_window,
    take_fingerprint,
)
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db(transaction=True)
ROUNDS = 5


def at_once(*acts: Callable[[], object]) -> list[object]:
    """Let all acts go at the same moment. Returns what each answered or raised."""
    answers: list[object] = [None] * len(acts)
    start = threading.Barrier(len(acts))

    def run(number: int) -> None:
        try:
            start.wait(10)
            answers[number] = acts[number]()
        except Exception as error:  # noqa: BLE001 - what it raised is the answer
            answers[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


def one_wins(answers):
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(lost) == len(answers) - 1, answers
    return next(answer for answer in answers if not isinstance(answer, Conflict))


def waiting(approvers):
    requester = UserFactory()
    flow = AccessFlowFactory(
        approval="any_of", approver_users=approvers, requester_users=[requester], targets=1
    )
    return AccessRequestFactory(requester=requester, flow=flow, status=Status.PENDING_APPROVAL)


def word(actor, request, verdict):
    return lambda: decide_request(
        actor=actor,
        request=request,
        verdict=verdict,
        reason="Because of OPS-1",
        fingerprint=request.flow_fingerprint,
        window=None,
    )


@pytest.mark.parametrize("other", [Decision.Verdict.APPROVE, Decision.Verdict.REJECT])
def test_of_two_decisions_one_counts(other):
    approvers = [UserFactory(), UserFactory()]
    for _ in range(ROUNDS):
        request = waiting(approvers)
        answers = at_once(
            word(approvers[0], request, Decision.Verdict.APPROVE),
            word(approvers[1], request, other),
        )
        winner = one_wins(answers)
        request.refresh_from_db()
        assert request.status == winner.status
        assert request.decisions.count() == 1


def test_approving_and_cancelling_at_once_leave_one_outcome():
    approver = UserFactory()
    for _ in range(ROUNDS):
        request = waiting([approver])
        answers = at_once(
            word(approver, request, Decision.Verdict.APPROVE),
            lambda request=request: cancel_request(actor=request.requester, request=request),
        )
        request.refresh_from_db()
        approved = not isinstance(answers[0], Conflict)
        assert request.status == Status.CANCELLED
        assert request.decisions.count() == int(approved)


def test_two_workers_begin_one_activation():
    for _ in range(ROUNDS):
        request = AccessRequestFactory()
        at_once(*[lambda request=request: begin_activation(request_pk=request.pk)] * 3)
        assert request.grants.count() == 1
    assert Event.objects.filter(event=EventName.REQUEST_GRANT).count() == ROUNDS


def test_two_workers_expire_a_request_once():
    requests = [GrantFactory().request for _ in range(6)]
    AccessRequest.objects.update(ends_at=timezone.now())
    counts = at_once(*[lambda: expire_due(now=timezone.now())] * 2)
    counts = [count for count in counts if isinstance(count, int)]
    while sum(counts) < len(requests):
        counts.append(expire_due(now=timezone.now()))
    assert sum(counts) == len(requests)
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == len(requests)


def test_revoking_and_expiring_at_once_have_one_outcome():
    for _ in range(ROUNDS):
        grant = GrantFactory()
        request, requester = grant.request, grant.request.requester
        AccessRequest.objects.filter(pk=request.pk).update(ends_at=timezone.now())
        at_once(
            lambda: expire_due(now=timezone.now()),
            lambda request=request, who=requester: revoke_access(actor=who, request=request),
        )
        expire_due(now=timezone.now())
        request.refresh_from_db()
        ends = Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION, request_id=request.pk)
        assert request.status == Status.REVOKING
        assert ends.count() == 1


def let_extend(flow):
    """Two extensions of half an hour."""
    type(flow).objects.filter(pk=flow.pk).update(
        max_extensions=2, extension_duration=timedelta(minutes=30)
    )
    flow.refresh_from_db()
    take_fingerprint(flow)


def more_time(request, window=None):
    who = request.requester
    return lambda: extend_access(
        actor=who, request=request, used=request.extensions_used, window=window
    )


@pytest.mark.target
def test_extending_and_expiring_at_once_have_one_outcome(real_flow):
    """The answers of the target come before, while and after the end is begun."""
    let_extend(real_flow.flow)
    for _ in range(ROUNDS):
        grant = real_flow.active_grant()
        request, end = grant.request, grant.deadline
        answers = at_once(more_time(request), lambda end=end: expire_due(now=end))
        request.refresh_from_db()
        grant.refresh_from_db()
        extended = not isinstance(answers[0], Exception)
        assert extended == (request.status == Status.ACTIVE), answers
        assert (request.ends_at > end) == extended
        assert grant.deadline == request.ends_at
        if not extended:
            assert isinstance(answers[0], Conflict)
        assert_the_target_agrees(real_flow, grant, extended=extended)


def assert_the_target_agrees(real_flow, grant, *, extended):
    if extended:
        [(until,)] = real_flow.pg.ask(
            "SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", [grant.login]
        )
        assert until == grant.enforced_until <= grant.deadline
    else:
        settle()
        assert not real_flow.pg.role_exists(grant.login)


@pytest.mark.target
def test_revoking_and_extending_at_once_revoke_it(real_flow):
    let_extend(real_flow.flow)
    for _ in range(ROUNDS):
        grant = real_flow.active_grant()
        request = grant.request
        at_once(
            more_time(request),
            lambda request=request: revoke_access(actor=request.requester, request=request),
        )
        settle()
        request.refresh_from_db()
        assert request.status == Status.REVOKED
        assert not real_flow.pg.role_exists(grant.login)


@pytest.mark.target
def test_two_tabs_extend_once(real_flow):
    let_extend(real_flow.flow)
    grant = real_flow.active_grant()
    request, end = grant.request, grant.deadline
    one_wins(at_once(*[more_time(request)] * 3))
    request.refresh_from_db()
    assert (request.extensions_used, request.ends_at) == (1, end + timedelta(minutes=30))


def test_reset_and_release_at_once_leave_nothing_on_void_evidence():
    for _ in range(ROUNDS):
        authenticator = AuthenticatorFactory()
        user, code = authenticator.user, code_for(authenticator)
        flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
        request = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
        admin = UserFactory(admin=True)
        window = fresh_window(admin)
        _, released = at_once(
            lambda user=user, admin=admin, window=window: reset_mfa(
                actor=admin, user=user, window=window, reason="Lost phone", client_info=SYSTEM
            ),
            lambda user=user, code=code: step_up(user=user, code=code, scope=ThrottleScope()),
        )
        begin_activation(request_pk=request.pk)
        request.refresh_from_db()
        assert request.status == Status.PENDING_MFA, released
        assert not request.grants.exists()


def test_a_grant_is_claimed_once():
    grants = [GrantFactory(state=GrantState.REVOKING) for _ in range(3)]
    Grant.objects.update(integration=grants[0].integration)

    def take():
        return claim(
            "w",
            integration_id=grants[0].integration_id,
            state=GrantState.REVOKING,
            limit=2,
            duration=timedelta(seconds=30),
            now=timezone.now(),
        )[1]

    claimed = [grant.pk for answer in at_once(take, take, take) for grant in answer]
    assert len(claimed) == len(set(claimed))
    assert claimed


@pytest.mark.target
def test_two_tabs_get_one_password(real_flow):
    grant = real_flow.active_grant()
    answers = at_once(
        *[lambda: reveal_credential(actor=real_flow.requester, grant=grant, window=None)] * 3
    )
    with real_flow.pg.log_in(one_wins(answers)) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_one_code_in_two_tabs_releases_once():
    authenticator = AuthenticatorFactory()
    user = authenticator.user
    flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    request = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
    code = code_for(authenticator)
    answers = at_once(*[lambda: step_up(user=user, code=code, scope=ThrottleScope())] * 3)
    assert sorted(result.ok for result, _ in answers) == [False, False, True]
    assert Event.objects.filter(event=EventName.REQUEST_RELEASE).count() == 1
    request.refresh_from_db()
    assert request.status == Status.GRANTING


def test_reset_and_activation_at_once_never_activate_on_void_evidence():
    for _ in range(ROUNDS):
        user = AuthenticatorFactory().user
        flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
        request = AccessRequestFactory(requester=user, flow=flow)
        at_once(
            lambda user=user: advance_epoch(user=user),
            lambda request=request: begin_activation(request_pk=request.pk),
        )
        request.refresh_from_db()
        opened = request.grants.exists()
        assert request.status == (Status.GRANTING if opened else Status.PENDING_MFA)


def test_of_two_admins_who_revoke_everything_at_once_one_does():
    admins = {
        admin: fresh_window(admin) for admin in (UserFactory(admin=True), UserFactory(admin=True))
    }
    first = GrantFactory()
    for _ in range(2):
        request = AccessRequestFactory(flow=first.request.flow, status=Status.ACTIVE)
        GrantFactory(request=request)

    def revoke_as(admin):
        return lambda: revoke_everything_on(
            actor=admin,
            window=admins[admin],
            integration=first.integration,
            reason="The ledger leaks",
            client_info=SYSTEM,
        )

    assert one_wins(at_once(*map(revoke_as, admins))) == 3
    assert Event.objects.filter(event=EventName.INTEGRATION_REVOKE_ALL).count() == 1
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == 3


def test_one_form_sent_by_two_clicks_at_once_makes_one_request():
    user = UserFactory()
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    targets = list(flow.targets.select_related("flow"))
    selection = Selection(targets, timedelta(hours=1), "Look into the failed import, OPS-1.")
    for number in range(ROUNDS):

        def send(key=f"key-of-page-{number}"):
            return submit_requests(actor=user, selection=selection, window=None, key=key)

        answers = at_once(send, send, send)
        assert len({request.pk for made in answers for request in made}) == 1, answers
    assert AccessRequest.objects.count() == ROUNDS
