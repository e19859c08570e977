"""Services check the evidence themselves, under the lock, whatever the page has checked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from mfa.exceptions import NotEnrolled, WindowClosed
from mfa.models import Authenticator, MfaState, Outcome, TrustedBrowser, Verification
from mfa.verification.evidence import require_admin_evidence, require_evidence
from mfa.verification.locking import advance_epoch, lock_state
from mfa.verification.policies import is_evidence_valid
from mfa.verification.trusted_browsers import forget_browser
from mfa.verification.window import Window
from tests.factories import AuthenticatorFactory, UserFactory, code_for, window_of
from tests.mfa.conftest import HERE, wrong_for


@pytest.fixture
def window(clock, person, device, enter) -> Window:
    return window_of(enter(code_for(device)).verification)


def refused(user, window) -> bool:
    with pytest.raises(WindowClosed):
        require_evidence(user=user, window=window)
    return True


def test_open_window_gives_its_verification(person, window):
    assert require_evidence(user=person, window=window).pk == window.verification_id


def test_no_window_is_refused(person, device):
    assert refused(person, None)


@pytest.mark.parametrize("seconds", [-1, 3600, 86_400])
def test_outside_the_hour_it_is_refused(clock, person, window, seconds):
    clock.shift(seconds)
    assert refused(person, window)


def test_window_that_claims_a_later_verification_is_refused(clock, person, window):
    clock.shift(7200)
    assert refused(person, replace(window, verified_at=timezone.now()))


def test_stale_copy_of_the_person_does_not_help(person, window):
    """The caller's object still has the old password and epoch; the database has not."""
    stale = type(person).objects.select_related("mfa_state").get(pk=person.pk)
    person.set_password("another-password-of-hers")
    person.save(update_fields=["password"])
    assert refused(stale, window)


def test_after_a_new_epoch_it_is_refused(person, window):
    advance_epoch(user=person)
    assert refused(person, window)


def test_without_its_device_it_is_refused(person, window, device):
    device.delete()
    assert refused(person, window)


def test_with_an_unconfirmed_device_it_is_refused(person, window):
    Authenticator.objects.update(confirmed=False)
    assert refused(person, window)


def test_deactivated_user_is_refused(person, window):
    person.is_active = False
    person.save(update_fields=["is_active"])
    assert refused(person, window)


def test_another_users_window_is_refused(window):
    other = AuthenticatorFactory(user=UserFactory()).user
    assert refused(other, window)
    assert refused(other, replace(window, user_id=other.pk))


def test_without_its_row_on_the_ledger_it_is_refused(person, window):
    assert refused(person, replace(window, verification_id=window.verification_id + 1))


def test_failed_attempt_is_no_evidence(person, device, enter):
    assert refused(person, window_of(enter(wrong_for(device)).verification))


def test_browser_is_forgotten_only_with_an_open_window(person, window):
    browser = TrustedBrowser.objects.get(user=person)
    with pytest.raises(WindowClosed):
        forget_browser(user=person, browser_id=browser.pk, window=None, client_info=HERE)
    assert TrustedBrowser.objects.filter(pk=browser.pk).exists()
    forget_browser(user=person, browser_id=browser.pk, window=window, client_info=HERE)
    assert not TrustedBrowser.objects.exists()


def test_evidence_outlives_the_hour_but_not_the_epoch(clock, person, window):
    verification = Verification.objects.get(pk=window.verification_id)
    clock.shift(86_400)
    assert is_evidence_valid(verification=verification, state=MfaState.objects.get(user=person))
    state = advance_epoch(user=person)
    assert not is_evidence_valid(verification=verification, state=state)


def test_evidence_needs_its_device(person, window, device):
    verification, state = Verification.objects.get(), MfaState.objects.get(user=person)
    device.delete()
    assert not is_evidence_valid(verification=verification, state=state)
    AuthenticatorFactory(user=person)
    assert not is_evidence_valid(verification=verification, state=state)


def test_another_users_evidence_is_invalid(window):
    other = AuthenticatorFactory(user=UserFactory())
    verification = Verification.objects.get()
    state = MfaState.objects.get(user=other.user)
    verification.epoch, verification.device_id = state.epoch, other.pk
    assert not is_evidence_valid(verification=verification, state=state)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o != Outcome.OK])
def test_no_other_outcome_is_evidence(person, window, outcome):
    verification = Verification.objects.get()
    verification.outcome = outcome
    assert not is_evidence_valid(verification=verification, state=MfaState.objects.get(user=person))


def test_nothing_is_no_evidence(person, device):
    assert not is_evidence_valid(verification=None, state=MfaState.objects.get(user=person))


def test_admin_with_mfa_needs_the_window(db):
    admin = AuthenticatorFactory(user=UserFactory(admin=True)).user
    with pytest.raises(WindowClosed):
        require_admin_evidence(actor=admin, window=None)


def test_admin_without_mfa_is_refused(db):
    with pytest.raises(NotEnrolled, match="Account admins must set up MFA"):
        require_admin_evidence(actor=UserFactory(admin=True), window=None)


def test_setting_lets_an_admin_without_mfa_act(db, settings):
    settings.MFA_ADMINS_MUST_ENROL = False
    assert require_admin_evidence(actor=UserFactory(admin=True), window=None) is None


def test_locking_makes_a_missing_state(person):
    from django.db import transaction

    MfaState.objects.filter(user=person).delete()
    with transaction.atomic():
        assert lock_state(person.pk).epoch == 0
    assert MfaState.objects.filter(user=person).count() == 1


def test_window_closes_an_hour_after_its_verification(window):
    assert window.closes_at - window.verified_at == timedelta(hours=1)
