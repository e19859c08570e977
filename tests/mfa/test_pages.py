"""Security & Privacy and set-up, in a browser without JavaScript."""

import re
from urllib.parse import unquote

import pyotp
import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from apono_portal.users.models import User
from audit.events import EventName
from audit.models import Event
from mfa.models import Authenticator, Outcome, RecoveryCode, TrustedBrowser, Verification
from tests.factories import PASSWORD, AuthenticatorFactory, UserFactory, code_for
from tests.mfa.conftest import freshly_signed_in, opened_browser

SECURITY = "/account/security/"
SET_UP = "/account/security/authenticator/"
CONFIRM = "/account/security/authenticator/confirm/"
AGAIN = "/account/security/authenticator/password/"
STEP_UP = "/account/step-up/"


def text_of(answer) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def secret_in(answer) -> str:
    return re.search(r"secret=([A-Z2-7]{32})", text_of(answer))[1]


def begun(browser: Client) -> str:
    """Press Set up and return the secret that the page shows."""
    return secret_in(browser.post(SET_UP, follow=True))


def test_page_offers_set_up(petra):
    text = text_of(petra.get(SECURITY))
    for label in (
        "Security &amp; Privacy",
        "Multi-Factor Authentication",
        "Add Authentication App",
        ">Set up<",
    ):
        assert label in text


def test_from_set_up_to_mfa_is_on(petra, person):
    secret = begun(petra)
    done = petra.post(CONFIRM, {"code": pyotp.TOTP(secret).now(), "name": "Aegis"})
    assert done.status_code == 200
    assert "MFA is on" in text_of(done)
    assert Authenticator.objects.confirmed().get(user=person).name == "Aegis"
    assert "MFA is on" in text_of(petra.get(SECURITY))


def test_dialog_has_its_labels_link_key_and_picture(petra):
    text = text_of(petra.post(SET_UP, follow=True))
    assert 'role="dialog" aria-labelledby="mfa-dialog-title"' in text
    assert '<h1 id="mfa-dialog-title">Multi-Factor Authentication</h1>' in text
    assert re.search(r"<label for=\"id_code\">\s*Six-digit code\s*</label>", text)
    assert "Turn on MFA" in text
    assert 'href="otpauth://totp/' in text
    assert len(re.findall(r"<span>[A-Z2-7]{4}</span>", text)) == 8
    assert '<rect width="' in text


def test_session_of_set_up_stays_and_the_others_end(petra, person, signed_in):
    other = signed_in(person)
    petra.post(CONFIRM, {"code": pyotp.TOTP(begun(petra)).now()})
    assert petra.get(SECURITY).status_code == 200
    assert other.get(SECURITY).status_code == 302


def test_set_up_opens_the_window_and_its_code_opens_no_other(petra, person, signed_in):
    code = pyotp.TOTP(begun(petra)).now()
    petra.post(CONFIRM, {"code": code})
    assert "Verified until" in text_of(petra.get(SECURITY))
    elsewhere = signed_in(User.objects.get(pk=person.pk))
    refused = elsewhere.post(STEP_UP, {"code": code})
    assert refused.status_code == 422
    assert "already used" in text_of(refused)
    assert "Not verified<" in text_of(elsewhere.get(SECURITY))


def test_same_code_again_in_the_session_that_used_it_is_no_attack(petra):
    code = pyotp.TOTP(begun(petra)).now()
    petra.post(CONFIRM, {"code": code})
    for _ in range(7):
        refused = petra.post(STEP_UP, {"code": code})
    assert refused.status_code == 422
    assert "That code was just used. Wait up to 30 seconds for the next one." in text_of(refused)
    assert "You are verified until" in text_of(refused)
    assert not Verification.objects.failures().exists()
    assert Event.objects.filter(event=EventName.MFA_REPEAT).count() == 1
    assert not Event.objects.filter(event=EventName.MFA_REFUSE).exists()


def test_recovery_codes_are_shown_once(petra):
    done = text_of(petra.post(CONFIRM, {"code": pyotp.TOTP(begun(petra)).now()}))
    codes = re.findall(r"<code class=\"mono\">([a-z2-7-]{23})</code>", done)
    assert len(codes) == 10
    later = text_of(petra.get(SECURITY))
    assert not any(code in later for code in codes)
    assert "10 of 10 left" in later


def test_browser_of_set_up_is_trusted(petra, person):
    done = petra.post(CONFIRM, {"code": pyotp.TOTP(begun(petra)).now()})
    cookie = done.cookies[f"trusted-browser-{person.pk}"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["max-age"] == 400 * 24 * 60 * 60
    assert "This browser" in text_of(petra.get(SECURITY))


def test_pages_with_secrets_are_stored_nowhere(petra):
    begun(petra)
    for answer in (petra.get(SET_UP), petra.post(CONFIRM, {"code": "1"}), petra.get(AGAIN)):
        assert "no-store" in answer.headers["Cache-Control"]


def test_secret_is_in_no_session_and_no_address(petra):
    secret = begun(petra)
    session = str(dict(petra.session.items()))
    assert "_auth_user_id" in session
    assert secret not in session
    assert Authenticator.objects.get().bin_key.hex() not in session


def test_looking_at_the_page_changes_nothing(petra):
    secret = begun(petra)
    assert [secret_in(petra.get(SET_UP)) for _ in range(3)] == [secret] * 3
    assert Authenticator.objects.count() == 1


def test_without_having_begun_there_is_nothing_to_see(petra):
    for answer in (
        petra.get(SET_UP, follow=True),
        petra.post(CONFIRM, {"code": "123456"}, follow=True),
    ):
        assert answer.redirect_chain[-1][0] == SECURITY
        assert "Choose Set up again" in text_of(answer)


def test_another_session_of_the_same_person_never_sees_the_key(petra, person, signed_in):
    begun(petra)
    other = freshly_signed_in(person, signed_in)
    assert other.get(SET_UP).status_code == 302
    answer = other.post(CONFIRM, {"code": "123456"})
    assert answer.status_code == 302


@pytest.mark.parametrize("code", ["", " ", "12345", "١٢٣٤٥٦", "abcdef", "x" * 10_000])
def test_malformed_code_gets_a_sentence_and_is_not_counted(petra, code):
    begun(petra)
    answer = petra.post(CONFIRM, {"code": code})
    assert answer.status_code == 422
    assert "Enter the six digits your authenticator app shows." in text_of(answer)
    assert not Verification.objects.exists()


def test_wrong_code_keeps_key_and_name(petra):
    secret = begun(petra)
    answer = petra.post(CONFIRM, {"code": "000000", "name": "My <b>phone</b>"})
    assert answer.status_code == 422
    assert "Incorrect code" in text_of(answer)
    assert secret_in(answer) == secret
    assert "My &lt;b&gt;phone&lt;/b&gt;" in text_of(answer)


def test_too_long_a_name_gets_a_sentence(petra):
    code = pyotp.TOTP(begun(petra)).now()
    answer = petra.post(CONFIRM, {"code": code, "name": "n" * 65})
    assert answer.status_code == 422
    assert "at most 64 characters" in text_of(answer)


def test_wrong_codes_lead_to_a_lockout_that_says_until_when(petra):
    begun(petra)
    for _ in range(5):
        petra.post(CONFIRM, {"code": "000000"})
    held = petra.post(CONFIRM, {"code": "000000"})
    assert held.status_code == 429
    for words in ("Try again at", "5 were entered within 15 minutes.", "The time here is"):
        assert words in text_of(held)


def test_old_sign_in_is_asked_for_the_password(person, signed_in):
    browser = signed_in(person)
    assert browser.post(SET_UP).headers["Location"] == AGAIN
    page = browser.get(AGAIN)
    assert page.status_code == 200
    assert not page.context["form"].errors
    assert not Authenticator.objects.exists()
    wrong = browser.post(AGAIN, {"password": "not it"})
    assert wrong.status_code == 422
    assert not Authenticator.objects.exists()
    assert Event.objects.filter(event=EventName.SESSION_SIGN_IN_FAIL).count() == 1
    shown = browser.post(AGAIN, {"password": PASSWORD}, follow=True)
    assert shown.redirect_chain[-1][0] == SET_UP
    assert secret_in(shown)


def test_another_users_password_is_refused(person, signed_in):
    UserFactory(password="the-password-of-another-person")
    browser = signed_in(person)
    assert browser.post(AGAIN, {"password": "the-password-of-another-person"}).status_code == 422


def test_password_is_not_guessed_here_without_limit(person, signed_in):
    browser = signed_in(person)
    answers = [browser.post(AGAIN, {"password": f"guess {n}"}).status_code for n in range(12)]
    assert answers[0] == 422
    assert answers[-1] == 429
    assert browser.post(AGAIN, {"password": PASSWORD}).status_code == 429
    assert not Authenticator.objects.exists()


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", [SET_UP, CONFIRM])
def test_enrolled_session_without_window_gets_through_no_step_of_set_up(
    device, petra, method, address
):
    """Enrolling to bypass: whoever has the session must not add an authenticator of their own."""
    planted = AuthenticatorFactory(user=device.user, confirmed=False)
    session = petra.session
    session["mfa_set_up"] = planted.pk
    session.save()
    answer = getattr(petra, method)(address, {"code": code_for(planted), "device": planted.pk})
    assert answer.status_code in {302, 405}
    assert planted.secret.hex() not in answer.content.decode()
    planted.refresh_from_db()
    assert not planted.confirmed
    assert Authenticator.objects.confirmed().get() == device


def test_not_even_the_password_again_lets_an_enrolled_person_begin(device, petra):
    petra.post(AGAIN, {"password": PASSWORD})
    assert Authenticator.objects.get() == device


def test_set_up_takes_a_csrf_token(person):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person, backend="apono_portal.users.backends.EmailBackend")
    for address in (SET_UP, CONFIRM, AGAIN, "/account/security/close-window/"):
        assert browser.post(address, {"code": "123456"}).status_code == 403


def test_open_window_is_shown_and_closed(device, signed_in):
    browser = opened_browser(device, signed_in)
    assert "60 more minutes" in text_of(browser.get(SECURITY))
    closed = text_of(browser.post("/account/security/close-window/", follow=True))
    assert "Window closed." in closed
    assert "Not verified<" in closed
    assert Event.objects.filter(event=EventName.MFA_CLOSE_WINDOW).count() == 1


def test_page_says_how_long_a_success_lasts(petra):
    assert "in the next 60 minutes" in text_of(petra.get(SECURITY))


def test_closing_a_closed_window_is_quiet(device, petra):
    petra.post("/account/security/close-window/")
    assert not Event.objects.filter(event=EventName.MFA_CLOSE_WINDOW).exists()


def test_new_recovery_codes_are_shown_once_and_void_the_old(device, signed_in):
    browser = opened_browser(device, signed_in)
    shown = browser.post("/account/security/recovery-codes/")
    assert len(re.findall(r"<code class=\"mono\">", text_of(shown))) == 10
    assert "no-store" in shown.headers["Cache-Control"]


def test_new_recovery_codes_take_a_confirmation_and_an_open_window(device, petra, signed_in):
    page = opened_browser(device, signed_in).get("/account/security/recovery-codes/new/")
    assert "Generate new recovery codes?" in text_of(page)
    assert not RecoveryCode.objects.exists()
    for method, address in (("get", "new/"), ("post", "")):
        refused = getattr(petra, method)(f"/account/security/recovery-codes/{address}")
        assert refused.headers["Location"].startswith(STEP_UP)
    assert not RecoveryCode.objects.exists()


@pytest.mark.parametrize(("left", "few"), [(4, False), (3, True), (0, True)])
def test_page_warns_when_few_recovery_codes_are_left(device, petra, person, left, few):
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user=person, code_hash=f"{number}") for number in range(left)
    )
    text = text_of(petra.get(SECURITY))
    assert f"{left} of 10 left" in text
    assert (f"</svg>{left} left</span>" in text) is few


@pytest.mark.parametrize("next_url", ["https://evil.example/", "//evil.example/", "javascript:0"])
def test_codes_saved_continues_within_the_portal_only(petra, next_url):
    answer = petra.get("/account/security/recovery-codes/saved/", {"next": next_url})
    assert answer.headers["Location"] == SECURITY


def test_download_has_all_codes_and_no_address_of_the_server(petra, person):
    done = text_of(petra.post(CONFIRM, {"code": pyotp.TOTP(begun(petra)).now()}))
    codes = re.findall(r"<code class=\"mono\">([a-z2-7-]{23})</code>", done)
    [link] = re.findall(r'href="(data:text/plain[^"]+)" download="recovery-codes.txt"', done)
    lines = unquote(link.partition(",")[2]).splitlines()
    assert person.email in lines[0]
    assert lines[2:] == codes


def test_setting_hides_recovery_codes(device, signed_in, settings):
    settings.MFA_RECOVERY_CODES = False
    browser = opened_browser(device, signed_in)
    assert "Recovery codes" not in text_of(browser.get(SECURITY))
    refused = browser.post("/account/security/recovery-codes/", follow=True)
    assert "turned off" in text_of(refused)
    assert not RecoveryCode.objects.exists()


def test_browser_is_forgotten_by_its_owner_only(device, signed_in):
    browser = opened_browser(device, signed_in)
    own = TrustedBrowser.objects.get(user=device.user)
    other = AuthenticatorFactory(user=UserFactory())
    opened_browser(other, signed_in)
    foreign = TrustedBrowser.objects.get(user=other.user)
    refused = browser.post(f"/account/security/browsers/{foreign.pk}/forget/", follow=True)
    assert "no longer on your list" in text_of(refused)
    done = browser.post(f"/account/security/browsers/{own.pk}/forget/", follow=True)
    assert "Browser removed." in text_of(done)
    assert list(TrustedBrowser.objects.all()) == [foreign]
    assert Event.objects.filter(event=EventName.MFA_FORGET_BROWSER).count() == 1


def test_only_ones_own_browsers_are_listed(device, petra, enter):
    other = AuthenticatorFactory(user=UserFactory())
    enter(code_for(other), user=other.user)
    assert "None yet" in text_of(petra.get(SECURITY))


def test_forgetting_needs_the_open_window(device, petra, enter):
    """Whoever has the session only must not take the owner's scope away."""
    enter(code_for(device))
    own = TrustedBrowser.objects.get()
    answer = petra.post(f"/account/security/browsers/{own.pk}/forget/")
    assert answer.headers["Location"].startswith(STEP_UP)
    assert TrustedBrowser.objects.filter(pk=own.pk).exists()


def test_recent_verifications_are_shown_with_outcome_and_address(device, petra, enter):
    enter(code_for(device))
    enter("000000")
    text = text_of(petra.get(SECURITY))
    for words in ("Verified", "Incorrect code", "192.0.2.7"):
        assert words in text


def test_ten_recent_verifications_are_shown(petra, person):
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=person, outcome=Outcome.BAD, epoch=0, at=now) for _ in range(11)
    )
    assert len(petra.get(SECURITY).context["verifications"]) == 10


def test_verifications_of_other_users_are_not_shown(petra, enter):
    other = AuthenticatorFactory()
    enter(code_for(other), user=other.user)
    assert list(petra.get(SECURITY).context["verifications"]) == []


def test_after_set_up_the_session_keeps_nothing_of_what_was_before(petra):
    from mfa.enrolment.reauthentication import SET_UP as SET_UP_KEY
    from mfa.verification.window import SESSION_KEY

    code = pyotp.TOTP(begun(petra)).now()
    session = petra.session
    session[SESSION_KEY] = {"of": "another authenticator"}
    session.save()
    petra.post(CONFIRM, {"code": code})
    assert SET_UP_KEY not in petra.session
    assert petra.session[SESSION_KEY]["verification_id"] == Verification.objects.get().pk


def test_page_costs_the_same_for_a_long_history(
    device, petra, enter, django_assert_max_num_queries
):
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=device.user, outcome=Outcome.OK, epoch=0, at=now) for _ in range(500)
    )
    petra.get(SECURITY)
    with django_assert_max_num_queries(16):
        petra.get(SECURITY)


def test_way_through_the_step_up_page(device, petra, person):
    with time_machine.travel(timezone.now(), tick=False):
        answer = petra.post(f"{STEP_UP}?next={SECURITY}", {"code": code_for(device)}, follow=True)
    assert answer.status_code == 200
    assert f"trusted-browser-{person.pk}" in petra.cookies
    assert Verification.objects.passed().get().scope == "unknown"


def test_five_wrong_codes_sign_out(device, petra):
    for _ in range(5):
        answer = petra.post(STEP_UP, {"code": "000000"})
    assert answer.headers["Location"].startswith("/sign-in/")
    assert petra.get(SECURITY).status_code == 302
    assert Event.objects.filter(event=EventName.SESSION_END).count() == 1


def test_recovery_code_opens_the_window(device, signed_in):
    browser = opened_browser(device, signed_in)
    codes = re.findall(
        r"<code class=\"mono\">([a-z2-7-]{23})",
        text_of(browser.post("/account/security/recovery-codes/")),
    )
    other = signed_in(device.user)
    other.post(f"{STEP_UP}?with=recovery", {"code": codes[0]})
    assert "Verified until" in text_of(other.get(SECURITY))


def test_lockout_page_says_why_until_when_and_what_to_do(device, petra, enter):
    for _ in range(5):
        enter("000000")
    text = text_of(petra.get(STEP_UP))
    for words in (
        "5 were entered within 15 minutes.",
        "Try again at",
        "Check that your phone sets its clock automatically.",
        "You can use another method now.",
        "change it and contact an account admin",
    ):
        assert words in text
    assert "can lift this lockout" not in text
    assert "Too many" not in text_of(petra.get(f"{STEP_UP}?with=recovery"))


def test_lockout_of_a_month_names_who_can_lift_it(device, petra, person):
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=person, outcome=Outcome.BAD, epoch=0, at=now) for _ in range(100)
    )
    text = text_of(petra.get(STEP_UP))
    assert "100 were entered within 30 days." in text
    assert "An account admin can lift this lockout." in text
