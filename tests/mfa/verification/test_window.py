"""The verified window: open for an hour, in one session, while all it was made from holds."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import UpdateError
from django.contrib.sessions.backends.db import SessionStore
from django.test import RequestFactory
from django.utils.functional import SimpleLazyObject

from apono_portal.users.backends import EmailBackend
from apono_portal.users.models import User
from apono_portal.users.sessions import SessionStore as PortalStore
from mfa.models import Authenticator, MfaState, Outcome, Verification
from mfa.verification.locking import advance_epoch
from mfa.verification.window import (
    SESSION_KEY,
    WindowState,
    close_window,
    end_session,
    open_window,
    stored_window,
    with_methods,
)
from tests.factories import AuthenticatorFactory, UserFactory, VerificationFactory, code_for
from tests.mfa.conftest import START, wrong_for


def fresh(user):
    return type(user).objects.select_related("mfa_state").get(pk=user.pk)


def request_of(user, session=None):
    request = RequestFactory().get("/")
    request.user = fresh(user) if user.pk else user
    request.session = session or SessionStore()
    request.mfa = WindowState(request)
    return request


@pytest.fixture
def opened(clock, person, device, enter):
    """A request whose session has just been verified."""
    request = request_of(person)
    request.session.create()
    open_window(request, enter(code_for(device)).verification)
    request.session.save()
    return request


def again(request, user=None):
    """The next request of that session."""
    session = SessionStore(request.session.session_key)
    return request_of(user or request.user, session)


def test_success_opens_it_for_an_hour(opened):
    state = opened.mfa
    assert state.is_open
    assert state.minutes_left == 60
    assert state.expires_at == state.window.verified_at + timedelta(hours=1)


@pytest.mark.parametrize(
    ("seconds", "is_open"),
    [(0, True), (3599, True), (3600, False), (3601, False), (-1, False), (-3600, False)],
)
def test_it_is_open_for_exactly_the_hour_and_closed_by_a_clock_that_goes_back(
    clock, opened, seconds, is_open
):
    clock.shift(seconds)
    assert again(opened).mfa.is_open is is_open


@pytest.mark.parametrize(("seconds", "minutes"), [(0, 60), (1, 60), (60, 59), (3540, 1), (3599, 1)])
def test_minutes_left_are_whole_minutes_begun(clock, opened, seconds, minutes):
    clock.shift(seconds)
    assert again(opened).mfa.minutes_left == minutes


def test_session_gets_a_new_key(clock, person, device, enter):
    request = request_of(person)
    request.session.create()
    before = request.session.session_key
    open_window(request, enter(code_for(device)).verification)
    assert request.session.session_key != before
    assert not SessionStore().exists(before)


def test_failure_opens_nothing(clock, person, device, enter):
    request = request_of(person)
    with pytest.raises(ValueError, match="success"):
        open_window(request, enter(wrong_for(device)).verification)
    assert not request.mfa.is_open


def test_another_users_success_opens_nothing(person, device):
    request = request_of(person)
    with pytest.raises(ValueError, match="success"):
        open_window(request, VerificationFactory())


def test_another_session_of_the_person_stays_closed(opened, person):
    assert not request_of(person).mfa.is_open


def test_closing_it_closes_it(opened):
    close_window(opened)
    opened.session.save()
    assert not opened.mfa.is_open
    assert not again(opened).mfa.is_open


def test_request_that_began_before_does_not_bring_it_back(opened, person):
    here = request_of(person, PortalStore())
    here.session.update(opened.session)
    here.session.save()
    stale = PortalStore(here.session.session_key)
    stale["word"] = "late"
    close_window(here)
    here.session.save()
    with pytest.raises(UpdateError):
        stale.save()
    assert SESSION_KEY not in PortalStore(here.session.session_key)
    assert not PortalStore(stale.session_key).items()


def test_new_epoch_closes_it(opened, person):
    advance_epoch(user=person)
    assert not again(opened).mfa.is_open


def test_it_belongs_to_its_person_epoch_and_password_only(opened, person):
    window, owner = opened.mfa.window, opened.user
    assert window.belongs_to(owner, window.epoch)
    assert not window.belongs_to(owner, window.epoch + 1)
    assert not window.belongs_to(UserFactory(), window.epoch)


def test_change_of_password_by_any_path_closes_it(opened, person):
    person.set_password("another-password-of-hers")
    person.save(update_fields=["password"])
    assert not again(opened).mfa.is_open


def test_deleting_the_device_closes_it(opened, device):
    device.delete()
    assert not again(opened).mfa.is_open


def test_device_no_longer_confirmed_closes_it(opened, device):
    Authenticator.objects.update(confirmed=False)
    assert not again(opened).mfa.is_open


def test_another_device_does_not_inherit_it(opened, person, device):
    device.delete()
    AuthenticatorFactory(user=person)
    state = again(opened).mfa
    assert state.enrolled
    assert not state.is_open


def test_it_needs_its_row_on_the_ledger(opened):
    Verification.objects.all().delete()
    assert not again(opened).mfa.is_open


@pytest.mark.parametrize(
    "forged",
    [
        {"user_id": 10**9},
        {"device_id": 10**9},
        {"epoch": 99},
        {"verification_id": 10**9},
        {"verified_at": "2027-01-15T08:00:30+00:00"},  # half a minute later than it was
        {"verified_at": "2027-01-15T08:30:00"},
        {"verified_at": "yesterday"},
        {"verified_at": None},
        {"auth": ""},
        {"auth": "0" * 64},
        {"surprise": 1},
        {"verification_id": "x"},
        {"auth": None},
    ],
)
def test_each_part_of_its_value_counts(clock, opened, forged):
    opened.session[SESSION_KEY] = opened.session[SESSION_KEY] | forged
    opened.session.save()
    clock.move_to(START + 60)
    assert not again(opened).mfa.is_open


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, {"user_id": 1}])
def test_what_is_not_a_window_is_closed_and_harmless(person, device, value):
    request = request_of(person)
    request.session[SESSION_KEY] = value
    assert not request.mfa.is_open


@pytest.mark.parametrize(
    "wrong", [{"user_id": "1"}, {"epoch": None}, {"auth": None}, {"auth": 7}, {"device_id": 1.0}]
)
def test_value_of_other_kinds_is_no_window_at_all(opened, wrong):
    assert stored_window(opened) is not None
    opened.session[SESSION_KEY] |= wrong
    assert stored_window(opened) is None


def test_user_without_a_state_is_in_the_first_epoch(person):
    MfaState.objects.filter(user=person).delete()
    assert fresh(person).mfa_epoch == 0


def test_success_of_an_earlier_epoch_is_not_passed_off_as_one_of_this(opened, person):
    state = advance_epoch(user=person)
    value = opened.session[SESSION_KEY]
    forged = {"epoch": state.epoch, "auth": fresh(person).get_session_auth_hash()}
    opened.session[SESSION_KEY] = value | forged
    assert not request_of(person, opened.session).mfa.is_open


def test_copied_value_does_not_open_another_users_session(opened, device):
    other = AuthenticatorFactory(user=UserFactory()).user
    request = request_of(other)
    request.session[SESSION_KEY] = opened.session[SESSION_KEY]
    assert not request.mfa.is_open


def test_failure_row_put_in_its_place_opens_nothing(clock, opened, device, enter):
    failed = enter(wrong_for(device)).verification
    value = opened.session[SESSION_KEY] | {
        "verification_id": failed.pk,
        "verified_at": failed.at.isoformat(),
    }
    opened.session[SESSION_KEY] = value
    assert failed.outcome == Outcome.BAD
    assert not request_of(opened.user, opened.session).mfa.is_open


def test_session_holds_no_secret(opened, device):
    session = str(dict(opened.session.items()))
    assert device.key not in session
    assert device.secret.hex() not in session
    assert code_for(device) not in session


def test_stranger_costs_no_query(db, django_assert_num_queries):
    request = RequestFactory().get("/")
    request.user, request.session = AnonymousUser(), SessionStore()
    with django_assert_num_queries(0):
        state = WindowState(request)
        assert (state.enrolled, state.is_open, state.minutes_left) == (False, False, 0)


def test_page_costs_one_query(opened, django_assert_num_queries):
    request = again(opened)
    request.session.get("x")
    user = EmailBackend().get_user(request.user.pk)
    request.user = SimpleLazyObject(lambda: user)  # as in every request
    with django_assert_num_queries(1):
        state = request.mfa
        assert (state.enrolled, state.is_open, bool(state.expires_at)) == (True, True, True)
        name = state.verification.device_name
    assert name == Authenticator.objects.get().name


def test_user_without_a_method_is_not_enrolled(person):
    for user in (fresh(person), EmailBackend().get_user(person.pk)):
        assert not request_of(user).mfa.enrolled


def test_window_opened_after_a_set_up_in_the_same_request_is_open(person):
    request = request_of(person)
    request.user = EmailBackend().get_user(person.pk)
    request.session.create()
    assert not request.mfa.enrolled
    open_window(request, VerificationFactory(user=person))
    assert request.mfa.is_open


def test_user_brings_the_authenticator_along(person, device):
    [user] = with_methods(User.objects.filter(pk=person.pk))
    assert (user.authenticator_id, user.passkey_id) == (device.pk, None)


def test_authenticator_read_before_a_set_up_does_not_hide_it(person):
    request = request_of(person)
    request.user = EmailBackend().get_user(person.pk)
    assert not request.mfa.enrolled
    AuthenticatorFactory(user=person)
    assert WindowState(request, fresh=True).enrolled


@pytest.mark.parametrize("end", [close_window, end_session])
def test_what_ends_it_ends_it_for_the_rest_of_this_request(opened, end):
    assert opened.mfa.is_open
    end(opened)
    assert not opened.mfa.is_open


def test_opening_it_opens_it_for_the_rest_of_this_request(clock, person, device, enter):
    request = request_of(person)
    request.session.create()
    assert not request.mfa.is_open
    open_window(request, enter(code_for(device)).verification)
    assert request.mfa.is_open


def test_user_without_a_state_is_not_enrolled(person):
    MfaState.objects.filter(user=person).delete()
    state = request_of(person).mfa
    assert (state.enrolled, state.is_open) == (False, False)
