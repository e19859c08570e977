"""Reset: only account admins, with a reason and their own window; everything of before is void."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.exceptions import InvalidReason, NotAllowed, NotEnrolled, WindowClosed
from mfa.models import Authenticator, MfaState, Outcome, RecoveryCode, TrustedBrowser, Verification
from mfa.reset import reset_mfa
from mfa.verification.policies import is_evidence_valid
from mfa.verification.services import verify_code
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for, fresh_window, window_of
from tests.mfa.conftest import HERE

REASON = "Lost phone, confirmed by video call."


@pytest.fixture
def admin(db):
    return UserFactory(admin=True, name="Ada Admin", email="ada@example.org")


def reset(actor, user, *, reason=REASON, window="fresh", **changes):
    window = fresh_window(actor) if window == "fresh" else window
    reset_mfa(actor=actor, user=user, reason=reason, window=window, client_info=HERE, **changes)


def verified_window(user):
    device = AuthenticatorFactory(user=user)
    result = verify_code(user=user, code=code_for(device), scope=ThrottleScope(), client_info=HERE)
    return window_of(result.verification)


def mails():
    deliver_due(timezone.now())
    return {(message.to[0], message.subject.partition(": ")[2]) for message in mail.outbox}


def test_it_removes_all_that_counted(person, device, enter, admin):
    verification = enter(code_for(device)).verification
    replace_recovery_codes(user_id=person.pk)
    AuthenticatorFactory(user=person, confirmed=False)
    reset(admin, person)
    assert not Authenticator.objects.of(person.pk).exists()
    assert not RecoveryCode.objects.exists()
    assert not TrustedBrowser.objects.exists()
    state = MfaState.objects.get(user=person)
    assert not is_evidence_valid(verification=verification, state=state)


def test_it_is_on_the_record_with_who_and_why(person, device, admin):
    reset(admin, person, revoke_access=True)
    event = Event.objects.get(event=EventName.MFA_RESET)
    assert (event.actor_id, event.target_id) == (admin.pk, str(person.pk))
    assert event.metadata == {
        "reason": REASON,
        "revoke_access": True,
        "require_new_password": False,
    }


def test_ledger_survives_it(person, device, enter, admin):
    enter(code_for(device))
    reset(admin, person)
    assert Verification.objects.filter(user=person).count() == 1


def test_every_session_of_the_person_ends(person, device, admin, signed_in):
    browsers = [signed_in(person), signed_in(person)]
    assert all(browser.get("/requests/").status_code == 200 for browser in browsers)
    reset(admin, person)
    assert all(browser.get("/requests/").status_code == 302 for browser in browsers)


def test_code_of_the_old_app_is_worth_nothing(person, device, enter, admin):
    reset(admin, person)
    assert enter(code_for(device)).outcome == Outcome.NO_DEVICE


@pytest.mark.parametrize("role", ["member", "auditor"])
def test_nobody_else_may(person, device, role):
    with pytest.raises(NotAllowed):
        reset(UserFactory(role=role), person)
    assert Authenticator.objects.of(person.pk).get() == device


def test_person_may_not_reset_themselves(person, device, enter):
    window = window_of(enter(code_for(device)).verification)
    with pytest.raises(NotAllowed):
        reset(person, person, window=window)


def test_admin_who_is_one_no_longer_may_not(person, device, admin):
    """The page still holds the admin as loaded before the change."""
    type(admin).objects.filter(pk=admin.pk).update(role="member")
    with pytest.raises(NotAllowed):
        reset(admin, person)


def test_inactive_admin_may_not(person, device, admin):
    type(admin).objects.filter(pk=admin.pk).update(is_active=False)
    with pytest.raises(NotAllowed):
        reset(admin, person)


@pytest.mark.parametrize("reason", ["", "   ", "\n", "x" * 501])
def test_reason_is_needed(person, device, admin, reason):
    with pytest.raises(InvalidReason):
        reset(admin, person, reason=reason)
    assert Authenticator.objects.of(person.pk).get() == device


def test_admin_with_mfa_needs_the_open_window(person, device, admin):
    window = verified_window(admin)
    with pytest.raises(WindowClosed):
        reset(admin, person, window=None)
    with time_machine.travel(timezone.now() + timedelta(hours=1)), pytest.raises(WindowClosed):
        reset(admin, person, window=window)
    reset(admin, person, window=window)
    assert not Authenticator.objects.of(person.pk).exists()


def test_window_of_another_admin_does_not_do(person, device, admin):
    other = UserFactory(admin=True)
    AuthenticatorFactory(user=other)
    with pytest.raises(WindowClosed):
        reset(other, person, window=verified_window(admin))


def test_admin_resets_themselves_with_their_own_window(admin):
    window = verified_window(admin)
    reset(admin, admin, window=window)
    assert not Authenticator.objects.of(admin.pk).exists()


def test_without_mfa_there_is_nothing_to_reset(person, admin):
    with pytest.raises(NotEnrolled):
        reset(admin, person)
    assert not Event.objects.filter(event=EventName.MFA_RESET).exists()


def test_user_gets_an_email_with_who_and_why(person, device, admin):
    reset(admin, person)
    assert mails() == {(person.email, "Your MFA was reset")}
    body = mail.outbox[0].body
    assert "Ada Admin" in body
    assert REASON in " ".join(body.split())


def test_mail_is_sent_only_if_the_reset_stands(person, device, admin):
    from django.db import transaction

    with transaction.atomic():
        reset(admin, person)
        transaction.set_rollback(True)  # as when the caller cannot end the access
    assert mails() == set()
    assert Authenticator.objects.of(person.pk).get() == device


def test_other_admins_get_an_email_about_an_admins_reset(admin):
    other = UserFactory(admin=True)
    UserFactory(admin=True, is_active=False)
    reset(admin, admin, window=verified_window(admin))
    assert (other.email, "MFA was reset for Ada Admin") in mails()
    assert len(mail.outbox) == 2


def test_limits_survive_a_reset(person, device, enter, admin):
    """A thief's spent budget is not given back because the owner got a new app."""
    from tests.mfa.conftest import wrong_for

    for _ in range(5):
        enter(wrong_for(device))
    reset(admin, person)
    fresh = AuthenticatorFactory(user=person)
    assert enter(code_for(fresh)).outcome == Outcome.THROTTLED


def test_console_wants_a_reason(admin):
    AuthenticatorFactory(user=admin)
    with pytest.raises(CommandError, match="--reason"):
        call_command("reset_mfa", admin.email)


def test_console_lets_the_last_admin_back_in(admin, capsys):
    AuthenticatorFactory(user=admin)
    call_command("reset_mfa", "ADA@example.org", reason="Phone lost, no other admin")
    assert not Authenticator.objects.of(admin.pk).exists()
    event = Event.objects.get(event=EventName.MFA_RESET)
    assert event.actor_id is None
    assert event.metadata["console"] is True
    assert event.metadata["reason"] == "Phone lost, no other admin"
    assert event.metadata["operator"]
    assert "all their sessions were ended" in capsys.readouterr().out
    assert (admin.email, "Your MFA was reset") in mails()
    assert "at the console" in mail.outbox[0].body


@pytest.mark.parametrize(
    ("email", "reason", "message"),
    [
        ("nobody@example.org", "x", "No user"),
        ("ada@example.org", " ", "Enter a reason"),
        ("ada@example.org", "x", "nothing to reset"),
    ],
)
def test_console_says_what_is_wrong(admin, email, reason, message):
    with pytest.raises(CommandError, match=message):
        call_command("reset_mfa", email, reason=reason)
