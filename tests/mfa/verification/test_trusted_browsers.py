"""Trusted browsers: which cookie counts, and which browser makes room for another."""

from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from mfa.models import MfaState, TrustedBrowser
from mfa.verification.locking import advance_epoch
from mfa.verification.throttle_scope import throttle_scope_of
from mfa.verification.trusted_browsers import MAX_TRUSTED_BROWSERS, cookie_name, signed_cookie
from tests.factories import AuthenticatorFactory, UserFactory, code_for


def browser_of(user, cookie: str) -> TrustedBrowser | None:
    """The trusted browser that a request with this cookie comes from."""
    request = RequestFactory().get("/")
    request.user = type(user).objects.select_related("mfa_state").get(pk=user.pk)
    request.session = type("Session", (dict,), {"session_key": "k"})()
    request.COOKIES[cookie_name(user.pk)] = cookie
    return throttle_scope_of(request, request.user).trusted_browser(user.pk, request.user.mfa_epoch)


def test_cookie_identifies_the_trusted_browser(clock, person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    browser = TrustedBrowser.objects.get(user=person)
    assert browser_of(person, cookie) == browser


def test_only_a_hash_of_the_cookie_is_stored(clock, person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    assert TrustedBrowser.objects.get(user=person).nonce_hash not in cookie


@pytest.mark.parametrize("forge", ["", "x", "a:b:c", "..", "é", "1:" * 2000])
def test_forged_cookie_is_not_trusted(clock, person, trusted, forge):
    assert browser_of(person, forge) is None


def test_tampered_cookie_is_not_trusted(clock, person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    body, rest = cookie.split(":", 1)
    for tampered in (cookie[:-1], cookie + "A", f"{body[:-2]}AA:{rest}", f"{body}A:{rest}"):
        assert browser_of(person, tampered) is None


def test_signed_cookie_without_a_row_is_not_trusted(clock, person, trusted):
    assert browser_of(person, signed_cookie(person.pk, "guess")) is None


def test_another_users_cookie_is_not_trusted(clock, person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    stranger = UserFactory()
    assert browser_of(stranger, cookie) is None


def test_cookie_from_before_a_reset_is_not_trusted_even_if_its_row_survived(person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    MfaState.objects.filter(user=person).update(epoch=7)
    assert browser_of(person, cookie) is None


def test_password_change_keeps_browsers_trusted(clock, person, device, enter):
    cookie = enter(code_for(device)).browser_cookie
    advance_epoch(user=person)
    assert browser_of(person, cookie) is not None


def test_trusted_browser_is_not_trusted_twice(clock, trusted, device, enter):
    result = enter(code_for(device), trusted)
    assert result.ok
    assert result.browser_cookie == ""
    assert TrustedBrowser.objects.count() == 1


def test_eleventh_browser_is_not_trusted(clock, trusted, device, enter):
    for _ in range(MAX_TRUSTED_BROWSERS + 5):
        assert enter(code_for(device)).ok
        clock.shift(30)
    assert TrustedBrowser.objects.count() == MAX_TRUSTED_BROWSERS == 10
    assert TrustedBrowser.objects.filter(nonce_hash=trusted.nonce_hash).exists()


def test_success_in_one_browser_is_no_use_of_another(clock, person, trusted, device, enter):
    assert enter(code_for(device)).browser_cookie
    clock.shift(30)
    other = TrustedBrowser.objects.exclude(nonce_hash=trusted.nonce_hash).get(user=person)
    assert enter(code_for(device), scope=trusted).ok
    assert TrustedBrowser.objects.get(pk=other.pk).last_used_at == other.last_used_at


def test_browsers_of_other_users_take_no_room(clock, person, device, enter):
    other = AuthenticatorFactory(user=UserFactory())
    for _ in range(MAX_TRUSTED_BROWSERS):
        enter(code_for(other), user=other.user)
        clock.shift(30)
    assert enter(code_for(device)).browser_cookie
    assert TrustedBrowser.objects.filter(user=other.user).count() == MAX_TRUSTED_BROWSERS


def test_browser_its_owner_came_back_to_is_never_pushed_out(clock, trusted, device, enter):
    assert enter(code_for(device), trusted).ok
    for _ in range(3):
        clock.shift(2 * 86_400)
        for _ in range(MAX_TRUSTED_BROWSERS + 2):
            clock.shift(30)
            assert enter(code_for(device)).ok
    assert TrustedBrowser.objects.filter(nonce_hash=trusted.nonce_hash).exists()


def test_browser_used_once_long_ago_makes_room(clock, trusted, device, enter):
    for _ in range(MAX_TRUSTED_BROWSERS - 1):
        assert enter(code_for(device)).ok
        clock.shift(30)
    clock.shift(86_400)
    assert enter(code_for(device)).browser_cookie
    assert not TrustedBrowser.objects.filter(nonce_hash=trusted.nonce_hash).exists()


def test_user_agent_of_a_trusted_browser_is_stored(clock, person, device, enter):
    enter(code_for(device))
    assert TrustedBrowser.objects.get(user=person).user_agent == "Firefox of the tests"


def test_browser_is_replaceable_a_day_after_its_only_use(person):
    now = timezone.now()
    TrustedBrowser.objects.bulk_create(
        TrustedBrowser(
            user=person,
            nonce_hash=str(hours),
            epoch=0,
            created_at=now - timedelta(hours=hours),
            last_used_at=now - timedelta(hours=hours),
        )
        for hours in (1, 23, 25, 47)
    )
    replaceable = TrustedBrowser.objects.replaceable(now).values_list("nonce_hash", flat=True)
    assert set(replaceable) == {"25", "47"}
