"""What is done to one person's MFA, or asked about it, leaves everybody else's alone."""

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.services import record
from mfa.admin import AuthenticatorAdmin
from mfa.enrolment.recovery_codes import recovery_codes_left, replace_recovery_codes
from mfa.exceptions import NotAllowed
from mfa.models import Authenticator, MfaState, RecoveryCode, TrustedBrowser, Verification
from mfa.reset import reset_mfa_from_console
from mfa.verification.locking import advance_epoch
from mfa.verification.policies import LONGEST_REASON, require_account_admin, required_reason
from mfa.verification.rate_limits import MONTH
from mfa.verification.selectors import scopes_at_month_limit, users_locked_out
from tests.factories import AuthenticatorFactory, UserFactory
from tests.mfa.test_holds import fail


@pytest.fixture
def other(db):
    return AuthenticatorFactory().user


def test_new_recovery_codes_leave_those_of_others(person, other):
    kept = replace_recovery_codes(user_id=other.pk)
    replace_recovery_codes(user_id=person.pk)
    replace_recovery_codes(user_id=person.pk)
    assert recovery_codes_left(user_id=other.pk) == len(kept) == 10
    assert recovery_codes_left(user_id=person.pk) == 10
    assert RecoveryCode.objects.count() == 20


def test_a_new_epoch_takes_ones_own_browsers_along_and_nobody_elses(person, other):
    for user in (person, other):
        TrustedBrowser.objects.create(user=user, nonce_hash=str(user.pk), epoch=0)
    advance_epoch(user=person)
    assert TrustedBrowser.objects.get(user=person).epoch == MfaState.objects.get(user=person).epoch
    assert TrustedBrowser.objects.get(user=other).epoch == 0


def test_a_reset_of_one_person_leaves_the_others_as_they_are(person, device, other):
    for user in (person, other):
        replace_recovery_codes(user_id=user.pk)
        TrustedBrowser.objects.create(user=user, nonce_hash=str(user.pk), epoch=0)
    reset_mfa_from_console(user=person, reason="Lost phone", operator="root")
    for kept in (Authenticator, TrustedBrowser):
        assert [each.user for each in kept.objects.all()] == [other]
    assert set(RecoveryCode.objects.values_list("user", flat=True)) == {other.pk}
    assert recovery_codes_left(user_id=other.pk) == 10


def test_the_holds_of_one_person_are_those_of_nobody_else(person, other):
    for user in (person, other):
        fail(user, MONTH.failures)
    now = timezone.now()
    assert [hold.user for hold in scopes_at_month_limit(now=now, user_id=person.pk)] == [person]
    assert users_locked_out(now=now, user_ids=[person.pk]) == {person.pk}
    assert users_locked_out(now=now) == {person.pk, other.pk}


def test_tries_that_passed_are_no_failures(person):
    passed = [Verification(user=person, outcome="ok", scope="unknown", epoch=0)] * 5
    Verification.objects.bulk_create(passed)
    assert not Verification.objects.failures().exists()
    assert users_locked_out(now=timezone.now()) == set()


def test_the_story_in_django_admin_is_of_mfa_and_of_the_person(person, device, other):
    admin_page = AuthenticatorAdmin(type(device), None)
    for actor in (person, other):
        record(event=EventName.MFA_VERIFY, actor=actor, target=device)
        record(event=EventName.SESSION_SIGN_IN, actor=actor, target=actor)
    mine = admin_page.events_about(device)
    assert [(event.event, event.actor_id) for event in mine] == [("mfa:verify", person.pk)]


def test_a_reason_may_be_as_long_as_the_field_and_no_longer():
    assert required_reason(f" {'x' * LONGEST_REASON} ") == "x" * LONGEST_REASON
    assert LONGEST_REASON == 500


def test_somebody_who_is_gone_is_no_admin(db):
    gone = UserFactory(admin=True)
    pk = gone.pk
    gone.delete()
    gone.pk = pk
    with pytest.raises(NotAllowed):
        require_account_admin(gone)
