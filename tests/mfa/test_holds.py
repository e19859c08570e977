"""The 30-day limit: who is told, who may lift it, and what stays."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.outbox.deliveries import deliver_due
from mfa.exceptions import NotAllowed, NotHeldOff, ReasonMissing, WindowClosed
from mfa.models import Outcome, TrustedBrowser, Verification
from mfa.verification.lockouts import lift_lockout
from mfa.verification.selectors import scopes_at_month_limit
from mfa.verification.throttle_scope import ThrottleScope
from tests.factories import AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import HERE, wrong_for

START = 1_800_000_000
REASON = "Password changed, owner confirmed by phone."


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as travel:
        yield travel


@pytest.fixture
def admin(db):
    return UserFactory(admin=True)


def fail(user, count: int, scope: str = "unknown", every=timedelta(hours=6)) -> None:
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=user, outcome=Outcome.BAD, scope=scope, epoch=0, at=now - every * n)
        for n in range(1, count + 1)
    )


def lift(actor, user, reason=REASON, window=None):
    lift_lockout(actor=actor, user=user, reason=reason, window=window, client_info=HERE)


def test_the_hundredth_failure_holds_off_until_thirty_days_are_over(clock, person, device, enter):
    fail(person, 99)
    assert enter(wrong_for(device)).locked_until == timezone.now() + timedelta(days=30) - timedelta(
        hours=6 * 99
    )
    assert enter(code_for(device)).outcome == Outcome.THROTTLED


def test_the_person_and_the_admins_are_told_once(clock, person, device, enter, admin):
    fail(person, 99)
    for _ in range(5):
        enter(wrong_for(device))
    deliver_due(timezone.now())
    assert sorted(message.to[0] for message in mail.outbox) == sorted([person.email, admin.email])
    assert Event.objects.filter(event=EventName.MFA_LOCK_OUT).count() == 1


@pytest.mark.parametrize(
    ("scope", "place"),
    [(ThrottleScope(), "in browsers new to your account"), (None, "in one of your known browsers")],
)
def test_the_person_is_told_where_it_was(clock, person, device, enter, scope, place):
    enter(code_for(device))
    browser = TrustedBrowser.objects.get()
    scope = scope or ThrottleScope(browser.scope, browser.pk)
    clock.shift(timedelta(days=40))
    fail(person, 99, scope=scope.label)
    enter(wrong_for(device), scope)
    deliver_due(timezone.now())
    [told] = [each for each in mail.outbox if each.subject.endswith("Your codes are held off")]
    assert place in " ".join(told.body.split())


def test_the_known_browser_goes_on(clock, person, device, enter):
    enter(code_for(device))
    clock.shift(30)
    fail(person, 100)
    browser = TrustedBrowser.objects.get()
    assert enter(code_for(device), ThrottleScope(browser.scope, browser.pk)).ok


def test_the_page_lists_who_is_held_off_and_nobody_else(clock, person, device):
    other = UserFactory()
    fail(person, 100)
    fail(other, 99)
    fail(other, 100, scope="trusted:3", every=timedelta(days=1))  # most of them too old
    holds = scopes_at_month_limit(now=timezone.now())
    assert [(hold.user, hold.scope, hold.failures) for hold in holds] == [(person, "unknown", 100)]


def test_the_list_costs_the_same_for_one_and_for_many(clock, db, django_assert_num_queries):
    for user in UserFactory.create_batch(8):
        fail(user, 100)
    with django_assert_num_queries(2):
        assert len(scopes_at_month_limit(now=timezone.now())) == 8


def test_lifting_gives_a_new_budget_and_is_on_the_record(clock, person, device, enter, admin):
    fail(person, 100)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED
    lift(admin, person)
    assert enter(code_for(device)).ok
    event = Event.objects.get(event=EventName.MFA_LIFT_LOCKOUT)
    assert (event.actor_id, event.target_id) == (admin.pk, str(person.pk))
    assert event.metadata == {"reason": REASON, "scopes": ["unknown"]}
    assert scopes_at_month_limit(now=timezone.now()) == []


def test_lifting_leaves_the_shorter_limits_alone(clock, person, device, enter, admin):
    fail(person, 100)
    fail(person, 5, every=timedelta(seconds=1))
    lift(admin, person)
    assert enter(code_for(device)).outcome == Outcome.THROTTLED


def test_the_person_is_told_of_the_lifting(clock, person, device, admin):
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


def test_an_admin_with_mfa_needs_the_window(clock, person, device, admin):
    AuthenticatorFactory(user=admin)
    fail(person, 100)
    with pytest.raises(WindowClosed):
        lift(admin, person)


def test_lifting_needs_a_reason(clock, person, device, admin):
    fail(person, 100)
    with pytest.raises(ReasonMissing):
        lift(admin, person, reason=" ")


def test_where_there_is_no_hold_there_is_nothing_to_lift(clock, person, device, admin):
    fail(person, 99)
    with pytest.raises(NotHeldOff):
        lift(admin, person)


@pytest.mark.parametrize(
    ("scope", "place"),
    [
        ("unknown", "New browsers, codes"),
        ("trusted:7", "Known browser 7, codes"),
        ("recovery", "New browsers, recovery codes"),
        ("recovery:7", "Known browser 7, recovery codes"),
        ("set_up", "While setting up"),
    ],
)
def test_a_lane_is_named_in_words(clock, person, scope, place):
    fail(person, 100, scope=scope)
    assert scopes_at_month_limit(now=timezone.now())[0].place == place
