"""Who is told of what by mail: whom it concerns, once, and never of one's own deeds."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from apono_portal.notifications.kinds import Kind
from apono_portal.notifications.models import EmailOptOut
from audit.events import EventName
from audit.models import Delivery
from audit.outbox.deliveries import deliver_due
from audit.services import record
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.drift.services import record_drift
from requests_app.grants.activation import record_activation
from requests_app.grants.revocation import (
    cancel_request,
    finish_revocations,
    lapse_overdue,
    revoke_access,
)
from requests_app.models import Decision, GrantState, Status
from requests_app.submission.step_up import step_up
from tests.factories import (
    AuthenticatorFactory,
    GrantFactory,
    IntegrationFactory,
    UserFactory,
    code_for,
)
from tests.notifications.conftest import mailed, read_on

pytestmark = pytest.mark.django_db


def to(person) -> list[str]:
    return [subject for recipient, subject in mailed() if recipient == person.email]


def test_every_approver_is_asked_and_the_requester_is_not(desk):
    request = desk.ask()
    for approver in desk.approvers:
        [subject] = to(approver)
        assert subject.startswith(f"{request.reference} needs your decision")
    assert to(desk.requester) == []


def test_the_question_says_all_that_is_decided_on(desk, settings):
    request = desk.ask(justification="See https://evil.example/login for OPS-1.")
    mailed()
    body = mail.outbox[0].body
    assert desk.requester.name in body
    assert str(request.targets.get()) in body
    assert "https://evil.example" not in body
    assert f"{settings.PORTAL_URL}/approvals/{request.reference}/" in body


def test_a_parked_request_is_asked_about_once_it_is_released(desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(require_mfa=True)
    desk.flow.refresh_from_db()
    desk.ask()
    assert mailed() == []
    device = AuthenticatorFactory(user=desk.requester)
    step_up(user=desk.requester, code=code_for(device), scope=ThrottleScope())
    assert len(to(desk.approvers[0])) == 1
    assert "verified with" in mail.outbox[0].body


def test_a_request_released_before_the_log_was_read_is_asked_about_once(desk):
    request = desk.ask()
    for event, told in (
        (EventName.REQUEST_SUBMIT, {"require_mfa": True, "verification": None}),
        (EventName.REQUEST_RELEASE, {"verification": 1}),
    ):
        record(event=event, actor=desk.requester, target=request, request=request, metadata=told)
    assert read_on() == 2 * 2  # the desk's own question, and that of the release


def test_reading_the_log_again_tells_nobody_twice(desk):
    desk.ask()
    assert len(mailed()) == 2
    assert len(mailed()) == 2


def test_a_rejection_is_told_with_its_reason(desk):
    request = desk.ask()
    desk.decide(request, Decision.Verdict.REJECT)
    assert to(desk.requester) == [
        f"{request.reference} was rejected: {request.targets.get().resource}"
    ]
    assert "It is what I would do." in mail.outbox[-1].body


def test_other_approvers_hear_that_it_is_decided_if_they_were_asked(desk):
    request = desk.ask()
    mailed()
    desk.decide(request)
    assert to(desk.approvers[1])[1:] == [f"{request.reference} needs no decision any more"]
    assert len(to(desk.approvers[0])) == 1


def test_a_question_that_has_not_left_is_withdrawn_instead(desk):
    request = desk.ask()
    read_on()
    desk.decide(request)
    assert to(desk.approvers[1]) == []
    states = Delivery.objects.filter(kind=Kind.DECISION_NEEDED).values_list("state", flat=True)
    assert set(states) == {Delivery.State.WITHDRAWN}


def test_a_question_nobody_could_answer_any_more_is_not_sent(desk):
    request = desk.ask()
    read_on()
    with time_machine.travel(request.pending_until + timedelta(seconds=1)):
        deliver_due(timezone.now())
    assert mail.outbox == []


def test_an_approval_is_told_by_the_mail_that_access_is_open(desk):
    request = desk.ask()
    desk.decide(request)
    assert to(desk.requester) == []
    open_access(request)
    [subject] = to(desk.requester)
    assert subject.startswith(f"{request.reference} is open until")
    assert desk.approvers[0].name in mail.outbox[-1].body


def test_who_wants_no_mail_of_open_access_is_told_of_the_approval(desk):
    EmailOptOut.objects.create(user=desk.requester, kind=Kind.ACTIVE)
    request = desk.ask()
    desk.decide(request)
    assert "was approved" in to(desk.requester)[0]
    open_access(request)
    assert len(to(desk.requester)) == 1


def open_access(request):
    from requests_app.grants.activation import begin_activation
    from tests.fixtures.grants import activation_of

    begin_activation(request_pk=request.pk)
    for grant in request.grants.select_related("integration"):
        type(grant).objects.filter(pk=grant.pk).update(lease_by="w")
        grant.refresh_from_db()
        assert record_activation(grant=grant, lease="w", activation=activation_of(grant))
    request.refresh_from_db()


def end_proven(request):
    request.refresh_from_db()
    request.grants.update(state=GrantState.REMOVED)
    finish_revocations(requests=[request])


def test_what_opens_at_once_is_not_told_by_mail(desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(approval="automatic")
    desk.flow.refresh_from_db()
    open_access(desk.ask())
    assert mailed() == []


def test_an_end_by_somebody_else_is_told_and_ones_own_is_not(desk):
    admin = UserFactory(admin=True)
    for who, told in ((admin, 1), (desk.requester, 0)):
        request = desk.ask()
        desk.decide(request)
        open_access(request)
        revoke_access(actor=who, request=request)
        end_proven(request)
        ended = [each for each in to(desk.requester) if f"{request.reference} has ended" in each]
        assert len(ended) == told


def test_a_cancellation_is_told_to_who_did_not_do_it(desk):
    admin = UserFactory(admin=True)
    cancel_request(actor=desk.requester, request=desk.ask())
    assert to(desk.requester) == []
    cancel_request(actor=admin, request=desk.ask())
    assert "was cancelled" in to(desk.requester)[0]


def test_a_lapse_is_told_to_the_requester_alone(desk):
    request = desk.ask()
    mailed()
    lapse_overdue(now=request.pending_until)
    assert "lapsed" in to(desk.requester)[0]
    assert [len(to(approver)) for approver in desk.approvers] == [1, 1]


def test_a_failure_is_told_with_what_to_do(desk):
    from requests_app.grants.activation import fail_activation

    request = desk.ask()
    desk.decide(request)
    grant = GrantFactory(request=request, state=GrantState.ACTIVATING)
    fail_activation(grant=grant, sentence="The server refused the broker.")
    assert "could not be opened" in to(desk.requester)[0]
    assert "The server refused the broker." in mail.outbox[-1].body


def test_a_person_who_left_gets_no_mail(desk):
    type(desk.requester).objects.filter(pk=desk.approvers[0].pk).update(is_active=False)
    desk.ask()
    assert to(desk.approvers[0]) == []


def test_what_a_person_does_not_want_is_not_sent(desk):
    EmailOptOut.objects.create(user=desk.approvers[0], kind=Kind.DECISION_NEEDED)
    desk.ask()
    assert to(desk.approvers[0]) == []
    assert len(to(desk.approvers[1])) == 1


def test_drift_noticed_at_one_look_is_one_mail_to_each_admin():
    from requests_app.drift.compare import Finding
    from requests_app.models import Drift

    admin = UserFactory(admin=True)
    integration = IntegrationFactory(name="orders-prod")
    findings = [Finding(Drift.Kind.UNKNOWN, f"jit_{n}", f"Sentence {n}.") for n in range(7)]
    record_drift(integration=integration, findings=findings)
    assert to(admin) == ["Logins on orders-prod differ"]
    assert "Sentence 4." in mail.outbox[0].body
    assert "And 2 more." in mail.outbox[0].body


def test_an_end_that_is_held_up_is_told_to_admins_once():
    admin = UserFactory(admin=True)
    grant = GrantFactory(state=GrantState.REVOKING)
    for reason in ("The server does not answer.", "The server refuses the broker."):
        told = {"step": "contain", "reason": reason}
        record(
            event=EventName.GRANT_RETRY,
            actor=None,
            target=grant,
            request=grant.request,
            metadata=told,
        )
    [subject] = to(admin)
    assert subject.startswith("An end is held up")


def test_an_end_that_went_through_meanwhile_alarms_nobody():
    admin = UserFactory(admin=True)
    grant = GrantFactory(state=GrantState.CONTAINED, contained_at=timezone.now())
    told = {"step": "contain", "reason": "Busy."}
    record(
        event=EventName.GRANT_RETRY, actor=None, target=grant, request=grant.request, metadata=told
    )
    assert to(admin) == []


def test_an_integration_that_needs_attention_is_told_to_admins():
    admin = UserFactory(admin=True)
    integration = IntegrationFactory()
    told = {"health": "down", "failed": ["reachable"]}
    record(event=EventName.INTEGRATION_CHECK, actor=None, target=integration, metadata=told)
    assert to(admin) == [f"Integration {integration.name} needs attention"]


def test_a_request_parked_again_is_told(desk):
    request = desk.ask()
    type(request).objects.filter(pk=request.pk).update(status=Status.PENDING_MFA)
    told = {"reason": "The MFA this request stood on was reset."}
    record(
        event=EventName.REQUEST_AWAIT_MFA,
        actor=None,
        target=request,
        request=request,
        metadata=told,
    )
    assert to(desk.requester) == [f"{request.reference} waits for a code"]
