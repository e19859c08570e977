"""The middleware that turns away requests without an open window."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.middleware import MessageMiddleware
from django.http import Http404, HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from mfa.decorators import mfa_required
from mfa.exceptions import NotAllowed, NotEnrolled, WindowClosed
from mfa.middleware import VerifiedWindowMiddleware
from mfa.models import RecoveryCode
from mfa.verification.window import open_window
from tests.factories import AuthenticatorFactory, UserFactory, VerificationFactory
from tests.mfa.conftest import opened_browser

CODES = "/account/security/recovery-codes/"  # marked @mfa_required
LOCKOUTS = "/mfa-lockouts/"  # for admins


def next_url(answer) -> str:
    """Where the step-up page continues to."""
    assert answer.status_code == 302
    target = urlsplit(answer.headers["Location"])
    assert target.path == reverse("requests:step_up")
    return parse_qs(target.query)["next"][0]


@pytest.fixture
def admin_device(db):
    return AuthenticatorFactory(user=UserFactory(admin=True))


def test_closed_window_leads_to_the_code(device, petra):
    petra.post(CODES)
    assert not RecoveryCode.objects.exists()


def test_page_is_come_back_to(admin_device, signed_in):
    answer = signed_in(admin_device.user).get(f"{LOCKOUTS}?page=2")
    assert next_url(answer) == f"{LOCKOUTS}?page=2"


def test_after_a_form_the_page_it_stood_on_is_come_back_to(device, petra):
    answer = petra.post(CODES, headers={"Referer": "http://testserver/account/security/?a=b#c"})
    assert next_url(answer) == "/account/security/?a=b"


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "https://evil.example/account/",
        "//evil.example",
        "javascript:alert(1)",
        "http://testserver.evil.example/",
    ],
)
def test_foreign_referer_is_not_followed(device, petra, referer):
    assert next_url(petra.post(CODES, headers={"Referer": referer})) == "/"


def test_what_looks_like_another_host_stays_a_path_here(device, petra):
    answer = petra.post(CODES, headers={"Referer": "http://testserver//evil.example/"})
    assert next_url(answer) == "/%2Fevil.example/"


def test_user_without_mfa_is_sent_to_set_up(petra):
    answer = petra.post(CODES)
    assert answer.headers["Location"] == "/account/security/?next=%2F"


def test_open_window_passes(device, signed_in):
    assert opened_browser(device, signed_in).post(CODES).status_code == 200
    assert RecoveryCode.objects.count() == 10


def test_admin_page_asks_an_admin_with_mfa_for_the_code(admin_device, signed_in):
    assert next_url(signed_in(admin_device.user).get(LOCKOUTS)) == LOCKOUTS


def test_admin_page_sends_an_admin_without_mfa_to_set_it_up(admin_user, signed_in):
    answer = signed_in(admin_user).get(LOCKOUTS, follow=True)
    assert answer.redirect_chain == [("/account/security/?next=%2Fmfa-lockouts%2F", 302)]
    assert "Account admins must set up MFA" in answer.content.decode()


def test_admin_page_lets_an_admin_in_who_has_verified(admin_device, signed_in):
    assert opened_browser(admin_device, signed_in).get(LOCKOUTS).status_code == 200


def test_setting_lets_an_admin_without_mfa_in(admin_user, signed_in, settings):
    settings.MFA_ADMINS_MUST_ENROL = False
    assert signed_in(admin_user).get(LOCKOUTS).status_code == 200


def test_no_code_is_asked_for_what_is_refused_anyway(device, petra):
    """Otherwise being asked for a code would reveal which pages exist."""
    assert petra.get(LOCKOUTS).status_code == 404
    assert petra.get("/admin/", follow=True).status_code == 404


def test_stranger_is_led_to_sign_in(client, db):
    assert client.post(CODES).headers["Location"].startswith("/sign-in/")


def test_window_of_before_signing_out_does_not_come_back(device, signed_in):
    """The old cookie is kept by whoever copied it; its session is gone."""
    browser = opened_browser(device, signed_in)
    copied = browser.cookies["session"].value
    browser.post("/sign-out/")
    browser.cookies["session"] = copied
    assert browser.post(CODES).headers["Location"].startswith("/sign-in/")


def test_session_key_of_before_the_code_is_worth_nothing(device, signed_in):
    """Session fixation: whoever planted or read the key before does not share the window."""
    from tests.factories import code_for

    browser = signed_in(device.user)
    before = browser.cookies["session"].value
    browser.post(reverse("requests:step_up"), {"code": code_for(device)})
    after = browser.cookies["session"].value
    assert after != before
    browser.cookies["session"] = before
    assert browser.post(CODES).headers["Location"].startswith("/sign-in/")


def messages_of(browser, address: str = "/account/security/") -> list[str]:
    """The messages of the next page."""
    return [str(message) for message in browser.get(address).context["messages"]]


def test_refused_form_says_that_nothing_was_changed(device, petra):
    petra.post(CODES)
    assert messages_of(petra) == ["Nothing was changed. Verify, then submit the form again."]


def test_refused_page_does_not_mention_a_form(admin_device, signed_in):
    browser = signed_in(admin_device.user)
    browser.get(LOCKOUTS)
    assert messages_of(browser) == []


def test_user_sent_to_set_up_sees_why(petra):
    petra.post(CODES)
    assert messages_of(petra) == ["This requires MFA. Set it up first."]


# A service refuses under its lock what the middleware let through: two tabs, or a reset in between.


def request_by(browser, user) -> Any:
    """A request as the middleware sees it, with the user's session and state."""
    request = RequestFactory().get("/somewhere/")
    request.user, request.session = user, browser.session
    MessageMiddleware(lambda request: HttpResponse()).process_request(request)
    VerifiedWindowMiddleware(lambda request: HttpResponse())(request)
    return request


MIDDLEWARE = VerifiedWindowMiddleware(lambda request: HttpResponse())


def test_window_that_closed_meanwhile_leads_to_the_code(device, petra):
    answer = MIDDLEWARE.process_exception(request_by(petra, device.user), WindowClosed())
    assert next_url(answer) == "/somewhere/"


def test_user_reset_meanwhile_is_sent_to_set_up(petra, person):
    answer = MIDDLEWARE.process_exception(request_by(petra, person), NotEnrolled())
    assert answer.headers["Location"] == "/account/security/?next=%2Fsomewhere%2F"


def test_another_users_missing_mfa_sends_nobody_to_set_up(device, petra):
    assert MIDDLEWARE.process_exception(request_by(petra, device.user), NotEnrolled()) is None


@pytest.mark.parametrize("enrolled", [True, False])
def test_what_has_nothing_to_do_with_the_window_is_left_alone(enrolled, request, petra, person):
    if enrolled:
        request.getfixturevalue("device")
    assert MIDDLEWARE.process_exception(request_by(petra, person), ValueError()) is None


def test_what_is_not_allowed_does_not_exist(device, petra):
    with pytest.raises(Http404):
        MIDDLEWARE.process_exception(request_by(petra, device.user), NotAllowed())


def open_state(request) -> Any:
    """The same request once its session is verified."""
    open_window(request, VerificationFactory(user=request.user))
    return request


@pytest.mark.parametrize("mark", [mfa_required])
def test_mark_is_what_turns_away_and_an_open_window_what_lets_in(mark, device, petra):
    def view(request):
        return HttpResponse()

    request = request_by(petra, with_state(device.user))
    assert MIDDLEWARE.process_view(request, view, [], {}) is None
    assert next_url(MIDDLEWARE.process_view(request, mark(view), [], {})) == "/somewhere/"
    assert MIDDLEWARE.process_view(open_state(request), mark(view), [], {}) is None


def with_state(user) -> Any:
    return type(user).objects.select_related("mfa_state").get(pk=user.pk)


def test_stranger_at_a_marked_page_is_left_to_the_sign_in(petra):
    view = mfa_required(lambda request: HttpResponse())
    request = request_by(petra, AnonymousUser())
    assert MIDDLEWARE.process_view(request, view, [], {}) is None
