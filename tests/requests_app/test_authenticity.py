"""Write access to the database alone opens nothing: every row that permits access carries a MAC."""

import base64
import secrets
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.core.db import keyset
from audit.events import EventName
from audit.integrity.verification import verify_log
from audit.models import Event
from audit.services import record
from mfa.models import Outcome, Verification
from mfa.verification.locking import lock_state
from mfa.verification.policies import is_evidence_valid
from requests_app.evidence_checks import find_unrecorded_rows, rows_that_count
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.activation import begin_activation, confirm_activation
from requests_app.grants.credentials import reset_credential, reveal_credential
from requests_app.grants.extension import apply_extension, extend_access
from requests_app.lifecycle import sign_request
from requests_app.models import AccessRequest, Decision, Extension, Grant, Status
from requests_app.policies import (
    ACCESS_NOT_AUTHENTIC,
    APPROVAL_NOT_AUTHENTIC,
    GRANT_NOT_AUTHENTIC,
    NOT_AUTHENTIC,
)
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GrantFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = pytest.mark.django_db


def request_of(status=Status.GRANTING, user=None, **flow):
    user = user or UserFactory()
    flow = AccessFlowFactory(
        require_mfa=True, max_extensions=1, requester_users=[user], targets=1, **flow
    )
    return AccessRequestFactory(requester=user, flow=flow, status=status)


def assert_fails_closed(request):
    begin_activation(request_pk=request.pk)
    request.refresh_from_db()
    assert request.status in (Status.FAILED, Status.CANCELLED)
    assert not request.grants.exists()
    event = Event.objects.about_request(request.pk).first()
    assert event.metadata["reason"] == request.message
    assert "not the one that the portal wrote" in request.message


def test_untouched_request_is_granted():
    assert begin_activation(request_pk=request_of().pk).grants.exists()


def test_inserted_verification_and_updated_request_grant_nothing():
    request = request_of(Status.PENDING_MFA)
    device = AuthenticatorFactory(user=request.requester)
    now = timezone.now()
    [forged] = Verification.objects.bulk_create(
        [Verification(user=device.user, at=now, outcome=Outcome.OK, epoch=0, device_id=device.pk)]
    )
    AccessRequest.objects.update(status=Status.GRANTING, verification=forged, verified_at=now)
    assert not is_evidence_valid(verification=forged, state=lock_state(device.user_id))
    assert_fails_closed(request)


def test_evidence_without_a_mac_is_none_even_on_a_signed_request():
    request = request_of()
    Verification.objects.update(mac="")
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_MFA


@pytest.mark.parametrize(
    "change",
    [
        {"require_mfa": False},
        {"duration": timedelta(hours=7)},
        {"pending_until": timezone.now() + timedelta(days=900)},
        {"flow_fingerprint": "1" * 64},
        {"mac": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_edited_request_grants_nothing(change):
    request = request_of()
    AccessRequest.objects.update(**change)
    assert_fails_closed(request)


def test_edited_target_grants_nothing():
    request = request_of()
    request.targets.update(permission="superuser")
    assert_fails_closed(request)


def test_finished_request_is_not_revived():
    request = request_of()
    AccessRequest.objects.update(status=Status.EXPIRED)
    request.refresh_from_db()
    sign_request(request)
    AccessRequest.objects.update(status=Status.GRANTING)
    assert_fails_closed(request)


def test_mac_moved_to_another_request_is_not_valid():
    request, other = request_of(), request_of()
    AccessRequest.objects.filter(pk=request.pk).update(mac=other.mac)
    assert_fails_closed(request)


def test_mac_moved_to_another_users_verification_is_not_valid():
    genuine, forged = VerificationFactory(), VerificationFactory()
    forged.mac = genuine.mac
    assert genuine.is_authentic
    assert not forged.is_authentic


def approved(**change):
    approver = UserFactory()
    request = request_of(approval="any_of", approver_users=[approver])
    decision = DecisionFactory(request=request, approver=approver)
    Decision.objects.filter(pk=decision.pk).update(**change)
    return request


def test_authentic_approval_counts():
    assert begin_activation(request_pk=approved().pk).grants.exists()


def test_rejection_edited_into_an_approval_is_dropped_and_recorded():
    request = approved(mac="")
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_APPROVAL
    event = Event.objects.get(event="request:void_approval")
    assert "not the one that the portal wrote" in event.metadata["reason"]
    assert not request.decisions.exists()


@pytest.mark.parametrize(
    "change", [{"deadline": timezone.now() + timedelta(days=9)}, {"permission": "superuser"}]
)
def test_every_attempt_checks_the_grant(change):
    request = begin_activation(request_pk=request_of().pk)
    Grant.objects.update(**change)
    assert not confirm_activation(grant=request.grants.get())
    request.refresh_from_db()
    assert request.status == Status.FAILED


def test_inserted_grant_is_not_activated():
    request = request_of()
    grant = GrantFactory(request=request, state="activating")
    Grant.objects.update(mac="")
    assert not confirm_activation(grant=Grant.objects.get(pk=grant.pk))


def test_inserted_extension_moves_no_end():
    request = GrantFactory(request=request_of(Status.ACTIVE)).request
    extension = Extension.objects.create(
        request=request,
        number=1,
        from_end=request.ends_at,
        to_end=request.ends_at + timedelta(days=1),
        require_mfa=True,
        verification=request.verification,
        verified_at=request.verified_at,
    )
    assert "the portal wrote" in apply_extension(extension=extension).message
    assert Event.objects.filter(event="request:refuse_extension").exists()


def test_edited_access_shows_no_credential(open_window_of):
    grant = GrantFactory(request=request_of(Status.ACTIVE), login_mark="7")
    Grant.objects.update(deadline=timezone.now() + timedelta(days=9))
    window = open_window_of(grant.request.requester)
    with pytest.raises(Conflict, match="not what the portal wrote"):
        reveal_credential(actor=grant.request.requester, grant=grant, window=window)


def alarms() -> list[tuple[str, str]]:
    events = Event.objects.filter(event="audit:detect_tampering").order_by("pk")
    return [(event.target_type, event.metadata["reason"]) for event in events]


@pytest.mark.parametrize("act", [reveal_credential, reset_credential])
def test_refused_credential_of_tampered_access_raises_an_alarm(open_window_of, act):
    grant = GrantFactory(request=request_of(Status.ACTIVE), login_mark="7")
    Grant.objects.update(deadline=timezone.now() + timedelta(days=9))
    actor = grant.request.requester
    with pytest.raises(Conflict, match="not what the portal wrote"):
        act(actor=actor, grant=grant, window=open_window_of(actor))
    assert alarms() == [("requests_app.grant", ACCESS_NOT_AUTHENTIC)]
    assert Event.objects.get(event="audit:detect_tampering").actor_id == actor.pk


def test_refused_extension_of_tampered_access_raises_an_alarm(open_window_of):
    request = GrantFactory(request=request_of(Status.ACTIVE)).request
    AccessRequest.objects.update(mac="")
    actor = request.requester
    with pytest.raises(RequestRefused, match="portal wrote"):
        extend_access(actor=actor, request=request, used=0, window=open_window_of(actor))
    assert alarms() == [("requests_app.accessrequest", NOT_AUTHENTIC)]


def test_every_other_refusal_of_a_tampered_row_raises_an_alarm():
    edited, approved_request = request_of(), approved(mac="")
    AccessRequest.objects.filter(pk=edited.pk).update(require_mfa=False)
    begin_activation(request_pk=edited.pk)
    begin_activation(request_pk=approved_request.pk)
    begun = begin_activation(request_pk=request_of().pk)
    Grant.objects.update(permission="superuser")
    confirm_activation(grant=begun.grants.get())
    assert [reason for _, reason in alarms()] == [
        NOT_AUTHENTIC,
        APPROVAL_NOT_AUTHENTIC,
        GRANT_NOT_AUTHENTIC,
    ]


def test_an_ordinary_refusal_raises_no_alarm(open_window_of):
    grant = GrantFactory(request=request_of(Status.ACTIVE), login_mark="7")
    request = request_of()
    AccessFlow.objects.filter(pk=request.flow_id).update(is_active=False)
    begin_activation(request_pk=request.pk)
    actor = grant.request.requester
    window = open_window_of(actor)
    with pytest.raises(Conflict, match="not been revealed"):
        reset_credential(actor=actor, grant=grant, window=window)
    assert alarms() == []


def test_rotated_key_signs_again_what_was_valid(settings):
    request = request_of()
    DecisionFactory(request=request)
    GrantFactory(request=request)
    new_key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    old_keys = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = f"next:{new_key},{old_keys}"
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = f"next:{new_key}"
    rows = [row for rows in rows_that_count().values() for row in rows]
    assert len(rows) == 5
    assert all(row.is_authentic for row in rows)


def test_rotation_does_not_sign_a_forged_row(settings):
    VerificationFactory()
    Verification.objects.update(epoch=9)
    new_key = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode()
    settings.ENCRYPTION_KEYS = f"next:{new_key},{settings.ENCRYPTION_KEYS}"
    with pytest.raises(Exception, match="Keep the old key"):
        call_command("rotate_keys")
    assert not Verification.objects.get().is_authentic


def test_audit_verification_names_rows_that_the_log_does_not_know():
    request = GrantFactory(request=request_of(Status.ACTIVE)).request
    DecisionFactory(request=request)
    Decision.objects.update(mac="")
    sentences = [finding.sentence for finding in verify_log().findings]
    pks = [Verification.objects.first().pk, Decision.objects.get().pk, Grant.objects.get().pk]
    for name, pk in zip(("Verification", "Decision", "Grant"), pks, strict=True):
        assert f"{name} {pk} is not in the audit log." in sentences
    assert any("its MAC is not valid" in sentence for sentence in sentences)


def test_recorded_rows_are_recognised_in_every_batch(monkeypatch):
    monkeypatch.setattr(keyset, "BATCH_SIZE", 1)
    rows = [VerificationFactory() for _ in range(3)]
    for row in rows[:2]:
        record(event=EventName.MFA_VERIFY, actor=row.user, metadata={"verification": row.pk})
    assert list(find_unrecorded_rows()) == [f"Verification {rows[2].pk} is not in the audit log."]
