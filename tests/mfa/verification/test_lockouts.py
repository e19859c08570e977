"""Lockouts: the emails about the 30-day limit, who may lift it, and what stays."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from mfa.exceptions import InvalidReason, NotAllowed, NotLockedOut, WindowClosed
from mfa.models import Outcome, TrustedBrowser, Verification
from mfa.verification.lockouts import lift_lockout, month_lockouts
from mfa.verification.throttle_scope import ThrottleScope, scope_label
from tests.factories import AuthenticatorFactory, UserFactory, code_for, fresh_window
from tests.mfa.conftest import HERE, wrong_for

REASON = "Password changed, owner confirmed by phone."


@pytest.fixture
def admin(db):
    return UserFactory(admin=True)


def fail(user, count: int, scope: str = "unknown", every=timedelta(hours=6)) -> None:
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=user, outcome=Outcome.BAD, scope=scope, epoch=0, at=now - every * n)
        for n in range(1, count + 1)
    )


def lift(actor, user, reason=REASON, window="fresh"):
    window = fresh_window(actor) if window == "fresh" else window
    lift_lockout(actor=actor, user=user, reason=reason, window=window, client_info=HERE)


def test_hundredth_failure_locks_out_until_thirty_days_are_over(clock, person, device, enter):
    fail(person, 99)
    assert enter(wrong_for(device)).locked_until == timezone.now() + timedelta(days=30) - timedelta(
        hours=6 * 99
    )
    assert enter(code_for(device)).outcome == Outcome.THROTTLED


def test_user_and_admins_get_one_email(clock, person, device, enter, admin):
    fail(person, 99)
    for _ in range(5):
        enter(wrong_for(device))
    deliver_due(timezone.now())
    assert sorted(message.to[0] for message in mail.outbox) == sorted([person.email, admin.email])
    assert Event.objects.filter(event=EventName.MFA_LOCK_OUT).count() == 1


@pytest.mark.parametrize(
    ("scope", "place"),
    [(ThrottleScope(), "in new browsers"), (None, "in one of your trusted browsers")],
)
def test_email_says_where_the_failures_were(clock, person, device, enter, scope, place):
    enter(code_for(device))
    browser = TrustedBrowser.objects.get()
    trusted, scope = scope is None, scope or ThrottleScope(browser.nonce_hash)
    clock.shift(timedelta(days=40))
    fail(person, 99, scope=scope_label(browser if trusted else None))
    enter(wrong_for(device), scope)
    deliver_due(timezone.now())
    [message] = [email for email in mail.outbox if email.subject.endswith("You are locked out")]
    assert place in " ".join(message.body.split())


def test_trusted_browser_is_not_locked_out(clock, person, device, enter):
    enter(code_for(device))
    clock.shift(30)
    fail(person, 100)
    browser = TrustedBrowser.objects.get()
    assert enter(code_for(device), ThrottleScope(browser.nonce_hash)).ok


def test_only_locked_out_scopes_are_listed(clock, person, device):
    other = UserFactory()
    fail(person, 100)
    fail(other, 99)
    fail(other, 100, scope="trusted:3", every=timedelta(days=1))  # most of them too old
    lockouts = month_lockouts(now=timezone.now())
    assert [(item.user, item.scope, item.failures) for item in lockouts] == [
        (person, "unknown", 100)
    ]


def test_list_takes_two_queries_however_long(clock, db, django_assert_num_queries):
    for user in UserFactory.create_batch(8):
        fail(user, 100)
    with django_assert_num_queries(2):
        assert len(month_lockouts(now=timezone.now())) == 8


def test_lifting_restores_the_budget_and_is_recorded(clock, person, device, enter, admin):
    fail(person, 100)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    lift(admin, person)
    assert enter(code_for(device)).ok
    event = Event.objects.get(event=EventName.MFA_LIFT_LOCKOUT)
    assert (event.actor_id, event.target_id) == (admin.pk, str(person.pk))
    assert event.metadata == {"reason": REASON, "scopes": ["unknown"]}
    assert month_lockouts(now=timezone.now()) == []


def test_lifting_leaves_the_shorter_limits_alone(clock, person, device, enter, admin):
    fail(person, 100)
    fail(person, 5, every=timedelta(seconds=1))
    lift(admin, person)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED


def test_user_gets_an_email_about_the_lifting(clock, person, device, admin):
    fail(person, 100)
    lift(admin, person)
    deliver_due(timezone.now())
    assert mail.outbox[0].to == [person.email]
    assert REASON in mail.outbox[0].body


def test_only_an_admin_lifts(clock, person, device):
    fail(person, 100)
    for actor in (person, UserFactory(auditor=True)):
        with pytest.raises(NotAllowed):
            lift(actor, person)


def test_admin_with_mfa_needs_the_window(clock, person, device, admin):
    AuthenticatorFactory(user=admin)
    fail(person, 100)
    with pytest.raises(WindowClosed):
        lift(admin, person, window=None)


def test_lifting_needs_a_reason(clock, person, device, admin):
    fail(person, 100)
    with pytest.raises(InvalidReason):
        lift(admin, person, reason=" ")


def test_lifting_without_a_lockout_is_refused(clock, person, device, admin):
    fail(person, 99)
    with pytest.raises(NotLockedOut):
        lift(admin, person)


@pytest.mark.parametrize(
    ("scope", "description"),
    [
        ("unknown", "New browsers, codes"),
        ("trusted:7", "Trusted browser 7, codes"),
        ("recovery", "New browsers, recovery codes"),
        ("recovery:7", "Trusted browser 7, recovery codes"),
        ("set_up", "While setting up"),
    ],
)
def test_lockout_describes_its_scope(clock, person, scope, description):
    fail(person, 100, scope=scope)
    assert month_lockouts(now=timezone.now())[0].description == description
