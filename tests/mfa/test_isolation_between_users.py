"""What happens to one user's MFA leaves that of all others alone."""

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.services import record
from mfa.admin import AuthenticatorAdmin
from mfa.enrolment.recovery_codes import count_recovery_codes, replace_recovery_codes
from mfa.exceptions import NotAllowed
from mfa.models import Authenticator, MfaState, RecoveryCode, TrustedBrowser, Verification
from mfa.reset import reset_mfa_from_console
from mfa.verification.locking import advance_epoch
from mfa.verification.lockouts import month_lockouts, users_locked_out
from mfa.verification.policies import MAX_REASON_LENGTH, clean_reason, require_account_admin
from mfa.verification.rate_limits import MONTH
from tests.factories import AuthenticatorFactory, UserFactory
from tests.mfa.verification.test_lockouts import fail


@pytest.fixture
def other(db):
    return AuthenticatorFactory().user


def test_new_recovery_codes_leave_those_of_others(person, other):
    kept = replace_recovery_codes(user_id=other.pk)
    replace_recovery_codes(user_id=person.pk)
    replace_recovery_codes(user_id=person.pk)
    assert count_recovery_codes(user_id=other.pk) == len(kept) == 10
    assert count_recovery_codes(user_id=person.pk) == 10
    assert RecoveryCode.objects.count() == 20


def test_new_epoch_takes_ones_own_browsers_along_and_nobody_elses(person, other):
    for user in (person, other):
        TrustedBrowser.objects.create(user=user, nonce_hash=str(user.pk), epoch=0)
    advance_epoch(user=person)
    assert TrustedBrowser.objects.get(user=person).epoch == MfaState.objects.get(user=person).epoch
    assert TrustedBrowser.objects.get(user=other).epoch == 0


def test_reset_of_one_person_leaves_the_others_as_they_are(person, device, other):
    for user in (person, other):
        replace_recovery_codes(user_id=user.pk)
        TrustedBrowser.objects.create(user=user, nonce_hash=str(user.pk), epoch=0)
    reset_mfa_from_console(user=person, reason="Lost phone", operator="root")
    for kept in (Authenticator, TrustedBrowser):
        assert [each.user for each in kept.objects.all()] == [other]
    assert set(RecoveryCode.objects.values_list("user", flat=True)) == {other.pk}
    assert count_recovery_codes(user_id=other.pk) == 10


def test_lockouts_belong_to_one_user(person, other):
    for user in (person, other):
        fail(user, MONTH.failures)
    now = timezone.now()
    assert [lockout.user for lockout in month_lockouts(now=now, user_id=person.pk)] == [person]
    assert users_locked_out(now=now, user_ids=[person.pk]) == {person.pk}
    assert users_locked_out(now=now) == {person.pk, other.pk}


def test_successes_are_no_failures(person):
    passed = [Verification(user=person, outcome="ok", scope="unknown", epoch=0)] * 5
    Verification.objects.bulk_create(passed)
    assert not Verification.objects.failures().exists()
    assert users_locked_out(now=timezone.now()) == set()


def test_history_in_django_admin_is_of_mfa_and_of_the_user(person, device, other):
    admin_page = AuthenticatorAdmin(type(device), None)
    for actor in (person, other):
        record(event=EventName.MFA_VERIFY, actor=actor, target=device)
        record(event=EventName.SESSION_SIGN_IN, actor=actor, target=actor)
    mine = admin_page.events_about(device)
    assert [(event.event, event.actor_id) for event in mine] == [("mfa:verify", person.pk)]


def test_reason_may_be_as_long_as_the_field_and_no_longer():
    assert clean_reason(f" {'x' * MAX_REASON_LENGTH} ") == "x" * MAX_REASON_LENGTH
    assert MAX_REASON_LENGTH == 500


def test_deleted_user_is_no_admin(db):
    gone = UserFactory(admin=True)
    pk = gone.pk
    gone.delete()
    gone.pk = pk
    with pytest.raises(NotAllowed):
        require_account_admin(gone)
