"""Who gets which email: whom it concerns, once, and never for their own actions."""

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
from tests.notifications.conftest import emailed, run_fan_out

pytestmark = pytest.mark.django_db


def subjects_to(user) -> list[str]:
    return [subject for recipient, subject in emailed() if recipient == user.email]


def test_approvers_are_notified_and_the_requester_is_not(desk):
    request = desk.submit()
    for approver in desk.approvers:
        [subject] = subjects_to(approver)
        assert subject.startswith(f"{request.reference} needs your decision")
    assert subjects_to(desk.requester) == []


def test_email_to_approvers_has_everything_to_decide_on(desk, settings):
    request = desk.submit(justification="See https://evil.example/login for OPS-1.")
    emailed()
    body = mail.outbox[0].body
    assert desk.requester.name in body
    assert str(request.targets.get()) in body
    assert "https://evil.example" not in body
    assert f"{settings.PORTAL_URL}/approvals/{request.reference}/" in body


def test_request_pending_mfa_notifies_approvers_when_released(desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(require_mfa=True)
    desk.flow.refresh_from_db()
    desk.submit()
    assert emailed() == []
    device = AuthenticatorFactory(user=desk.requester)
    step_up(user=desk.requester, code=code_for(device), scope=ThrottleScope())
    assert len(subjects_to(desk.approvers[0])) == 1
    assert "verified with" in mail.outbox[0].body


def test_request_released_before_fan_out_notifies_approvers_once(desk):
    request = desk.submit()
    for event, metadata in (
        (EventName.REQUEST_SUBMIT, {"require_mfa": True, "verification": None}),
        (EventName.REQUEST_RELEASE, {"verification": 1}),
    ):
        record(
            event=event, actor=desk.requester, target=request, request=request, metadata=metadata
        )
    assert run_fan_out() == 2 * 2  # for the submission and for the release


def test_nobody_is_notified_twice(desk):
    desk.submit()
    assert len(emailed()) == 2
    assert len(emailed()) == 2


def test_rejection_is_sent_with_its_reason(desk):
    request = desk.submit()
    desk.decide(request, Decision.Verdict.REJECT)
    assert subjects_to(desk.requester) == [
        f"{request.reference} was rejected: {request.targets.get().resource}"
    ]
    assert "It is what I would do." in mail.outbox[-1].body


def test_notified_approvers_learn_that_someone_else_decided(desk):
    request = desk.submit()
    emailed()
    desk.decide(request)
    assert subjects_to(desk.approvers[1])[1:] == [
        f"{request.reference} no longer needs your decision"
    ]
    assert len(subjects_to(desk.approvers[0])) == 1


def test_unsent_email_is_withdrawn_after_the_decision(desk):
    request = desk.submit()
    run_fan_out()
    desk.decide(request)
    assert subjects_to(desk.approvers[1]) == []
    states = Delivery.objects.filter(kind=Kind.DECISION_NEEDED).values_list("state", flat=True)
    assert set(states) == {Delivery.State.WITHDRAWN}


def test_email_is_not_sent_after_the_deadline(desk):
    request = desk.submit()
    run_fan_out()
    with time_machine.travel(request.pending_until + timedelta(seconds=1)):
        deliver_due(timezone.now())
    assert mail.outbox == []


def test_requester_learns_of_the_approval_when_access_is_active(desk):
    request = desk.submit()
    desk.decide(request)
    assert subjects_to(desk.requester) == []
    activate(request)
    [subject] = subjects_to(desk.requester)
    assert subject.startswith(f"{request.reference} is active until")
    assert desk.approvers[0].name in mail.outbox[-1].body


def test_approval_has_its_own_email_without_the_one_about_active_access(desk):
    EmailOptOut.objects.create(user=desk.requester, kind=Kind.ACTIVE)
    request = desk.submit()
    desk.decide(request)
    assert "was approved" in subjects_to(desk.requester)[0]
    activate(request)
    assert len(subjects_to(desk.requester)) == 1


def activate(request):
    from requests_app.grants.activation import begin_activation
    from tests.fixtures.grants import activation_of

    begin_activation(request_pk=request.pk)
    for grant in request.grants.select_related("integration"):
        type(grant).objects.filter(pk=grant.pk).update(lease_by="w")
        grant.refresh_from_db()
        assert record_activation(grant=grant, lease="w", activation=activation_of(grant))
    request.refresh_from_db()


def finish_revocation(request):
    request.refresh_from_db()
    request.grants.update(state=GrantState.REMOVED)
    finish_revocations(requests=[request])


def test_automatic_access_sends_no_email(desk):
    type(desk.flow).objects.filter(pk=desk.flow.pk).update(approval="automatic")
    desk.flow.refresh_from_db()
    activate(desk.submit())
    assert emailed() == []


def test_requester_is_notified_of_a_revocation_by_someone_else_only(desk):
    admin = UserFactory(admin=True)
    for actor, emails in ((admin, 1), (desk.requester, 0)):
        request = desk.submit()
        desk.decide(request)
        activate(request)
        revoke_access(actor=actor, request=request)
        finish_revocation(request)
        revoked = f"{request.reference} was revoked"
        subjects = [text for text in subjects_to(desk.requester) if text.startswith(revoked)]
        assert len(subjects) == emails


def test_requester_is_notified_of_a_cancellation_by_someone_else_only(desk):
    admin = UserFactory(admin=True)
    cancel_request(actor=desk.requester, request=desk.submit())
    assert subjects_to(desk.requester) == []
    cancel_request(actor=admin, request=desk.submit())
    assert "was cancelled" in subjects_to(desk.requester)[0]


def test_lapse_notifies_the_requester_only(desk):
    request = desk.submit()
    emailed()
    lapse_overdue(now=request.pending_until)
    assert "lapsed" in subjects_to(desk.requester)[0]
    assert [len(subjects_to(approver)) for approver in desk.approvers] == [1, 1]


def test_failure_is_sent_with_its_reason(desk):
    from requests_app.grants.activation import fail_activation

    request = desk.submit()
    desk.decide(request)
    grant = GrantFactory(request=request, state=GrantState.ACTIVATING)
    fail_activation(grant=grant, sentence="The server refused the broker.")
    assert "could not be granted" in subjects_to(desk.requester)[0]
    assert "The server refused the broker." in mail.outbox[-1].body


def test_deactivated_user_gets_no_email(desk):
    type(desk.requester).objects.filter(pk=desk.approvers[0].pk).update(is_active=False)
    desk.submit()
    assert subjects_to(desk.approvers[0]) == []


def test_opt_out_is_respected(desk):
    EmailOptOut.objects.create(user=desk.approvers[0], kind=Kind.DECISION_NEEDED)
    desk.submit()
    assert subjects_to(desk.approvers[0]) == []
    assert len(subjects_to(desk.approvers[1])) == 1


def test_drift_of_one_scan_is_one_email_per_admin():
    from requests_app.drift.compare import Finding
    from requests_app.models import Drift

    admin = UserFactory(admin=True)
    integration = IntegrationFactory(name="orders-prod")
    findings = [Finding(Drift.Kind.UNKNOWN, f"jit_{n}", f"Sentence {n}.") for n in range(7)]
    record_drift(integration=integration, findings=findings)
    assert subjects_to(admin) == ["Drift detected on orders-prod"]
    assert "Sentence 4." in mail.outbox[0].body
    assert "And 2 more." in mail.outbox[0].body


def test_delayed_revocation_notifies_admins_once():
    admin = UserFactory(admin=True)
    grant = GrantFactory(state=GrantState.REVOKING)
    for reason in ("The server does not answer.", "The server refuses the broker."):
        metadata = {"step": "contain", "reason": reason}
        record(
            event=EventName.GRANT_RETRY,
            actor=None,
            target=grant,
            request=grant.request,
            metadata=metadata,
        )
    [subject] = subjects_to(admin)
    assert subject.startswith("Revocation delayed")


def test_revocation_contained_meanwhile_notifies_nobody():
    admin = UserFactory(admin=True)
    grant = GrantFactory(state=GrantState.CONTAINED, contained_at=timezone.now())
    metadata = {"step": "contain", "reason": "Busy."}
    record(
        event=EventName.GRANT_RETRY,
        actor=None,
        target=grant,
        request=grant.request,
        metadata=metadata,
    )
    assert subjects_to(admin) == []


def test_unhealthy_integration_notifies_admins():
    admin = UserFactory(admin=True)
    integration = IntegrationFactory()
    metadata = {"health": "down", "failed": ["reachable"]}
    record(event=EventName.INTEGRATION_CHECK, actor=None, target=integration, metadata=metadata)
    assert subjects_to(admin) == [f"Integration {integration.name} needs attention"]


def test_request_that_needs_mfa_again_notifies_the_requester(desk):
    request = desk.submit()
    type(request).objects.filter(pk=request.pk).update(status=Status.PENDING_MFA)
    metadata = {"reason": "The MFA this request stood on was reset."}
    record(
        event=EventName.REQUEST_AWAIT_MFA,
        actor=None,
        target=request,
        request=request,
        metadata=metadata,
    )
    assert subjects_to(desk.requester) == [f"{request.reference} is waiting for your code"]


def alarm(target=None, actor=None):
    reason = "The stored access is not what the portal wrote."
    record(
        event=EventName.AUDIT_DETECT_TAMPERING,
        actor=actor,
        target=target,
        metadata={"reason": reason},
    )
    run_fan_out()


def test_every_admin_gets_an_alarm_about_tampering(desk, admin_user):
    EmailOptOut.objects.create(user=admin_user, kind=Kind.TAMPERING)
    alarm(target=admin_user, actor=admin_user)
    [subject] = subjects_to(admin_user)
    assert "Tampering detected" in subject
    assert "not what the portal wrote" in mail.outbox[0].body
    assert subjects_to(desk.requester) == []


def test_repeated_alarms_about_one_row_are_one_email_a_day(admin_user):
    alarm(target=admin_user)
    alarm(target=admin_user)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        alarm(target=admin_user)
        assert len(subjects_to(admin_user)) == 2


def test_a_verification_with_findings_is_an_alarm(admin_user):
    record(event=EventName.AUDIT_VERIFY, actor=None, metadata={"findings": []})
    run_fan_out()
    record(event=EventName.AUDIT_VERIFY, actor=None, metadata={"findings": ["EDITED: Event 5"]})
    run_fan_out()
    [subject] = subjects_to(admin_user)
    assert subject.endswith("Tampering detected: audit log")
