"""Guards of the MFA pages: methods, roles, window, no caching."""

import pytest
from django.http import HttpRequest
from django.urls import resolve, reverse

from audit.events import EventName
from audit.models import Event
from tests.factories import AuthenticatorFactory
from tests.mfa.conftest import freshly_signed_in, opened_browser

WITH_ID = {"mfa:lift_lockout", "mfa:forget_browser"}
GET_ONLY = {"mfa:security", "mfa:lockouts", "mfa:codes_saved"}
POST_ONLY = {
    "requests:confirm_set_up",
    "mfa:close_window",
    "mfa:forget_browser",
    "mfa:recovery_codes",
}
BOTH = {"requests:set_up", "requests:confirm_password", "mfa:lift_lockout"}
WINDOW_ALWAYS = {"mfa:forget_browser", "mfa:recovery_codes", "mfa:new_recovery_codes"}
ADMIN_ACTIONS = {"mfa:lockouts", "mfa:lift_lockout"}
NOT_CACHED = {
    "mfa:security": "get",
    "requests:set_up": "get",
    "requests:confirm_set_up": "post",
    "requests:confirm_password": "get",
    "mfa:recovery_codes": "post",
}


def address_of(name: str) -> str:
    return reverse(name, args=[1] if name in WITH_ID else [])


@pytest.mark.parametrize("name", sorted(GET_ONLY))
def test_read_only_page_accepts_no_form(name, admin_client):
    assert admin_client.post(address_of(name)).status_code == 405


@pytest.mark.parametrize("name", sorted(POST_ONLY))
def test_action_is_not_reached_by_get(name, device, signed_in):
    assert opened_browser(device, signed_in).get(address_of(name)).status_code == 405


@pytest.mark.parametrize("name", sorted(BOTH))
def test_no_other_verb_reaches_a_page_with_a_form(name, admin_client):
    assert admin_client.put(address_of(name)).status_code == 405


@pytest.mark.parametrize("name", sorted(GET_ONLY | POST_ONLY | BOTH | WINDOW_ALWAYS))
def test_each_view_has_the_mark_it_should_have(name):
    view = resolve(address_of(name)).func
    assert getattr(view, "mfa_required", False) is (name in WINDOW_ALWAYS)
    assert getattr(view, "admin_action", False) is (name in ADMIN_ACTIONS)


@pytest.mark.parametrize("name", sorted(ADMIN_ACTIONS))
def test_admin_pages_are_there_for_admins_only(name, petra):
    assert petra.get(address_of(name)).status_code == 404


@pytest.mark.parametrize("name", NOT_CACHED)
def test_pages_about_codes_are_not_cached(name, person, signed_in):
    browser = freshly_signed_in(person, signed_in)
    if name == "mfa:recovery_codes":
        browser = opened_browser(AuthenticatorFactory(user=person), signed_in)
    answer = getattr(browser, NOT_CACHED[name])(address_of(name))
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["requests:confirm_set_up", "requests:confirm_password"])
def test_error_report_shows_no_code_and_no_password(name, petra):
    answer = petra.post(address_of(name), {"code": "123456", "password": "of-petra"})
    request: HttpRequest = answer.wsgi_request
    assert request.sensitive_post_parameters == "__ALL__"


def test_wrong_code_and_a_spent_budget_have_answers_of_their_own(petra):
    petra.post(address_of("requests:set_up"))
    answers = [
        petra.post(address_of("requests:confirm_set_up"), {"code": "000000"}) for _ in range(6)
    ]
    assert [answer.status_code for answer in answers] == [422] * 5 + [429]


def test_incorrect_password_is_reported_and_recorded(petra):
    answer = petra.post(address_of("requests:confirm_password"), {"password": "not hers"})
    assert answer.status_code == 422
    assert Event.objects.filter(event=EventName.SESSION_SIGN_IN_FAIL).count() == 1
