"""The step-up page offers the methods that work at the portal's address, and no others."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apono_portal.users.models import User
from tests.factories import AuthenticatorFactory, PasskeyFactory, UserFactory

pytestmark = pytest.mark.django_db
STEP_UP = "/account/step-up/"
USE_PASSKEY = 'data-passkey="get"'
NOTHING_WORKS = "None of your methods works at this portal"


@pytest.fixture
def moved() -> User:
    """A user whose passkey, used just now, is bound to a host name that the portal had before."""
    user = UserFactory()
    PasskeyFactory(user=user, name="Old key", rp_id="former.example", last_used_at=timezone.now())
    return user


def test_passkey_of_a_former_host_name_is_not_offered(moved, signed_in):
    AuthenticatorFactory(user=moved, name="Aegis")
    page = signed_in(moved).get(STEP_UP).content.decode()
    assert USE_PASSKEY not in page
    assert "Old key" not in page
    assert "From <bdi>Aegis</bdi>." in page


def test_passkey_of_a_former_host_name_is_not_the_first_choice(moved, signed_in):
    PasskeyFactory(user=moved, name="Laptop")
    AuthenticatorFactory(user=moved, last_used_at=timezone.now() - timedelta(hours=1))
    page = signed_in(moved).get(STEP_UP)
    assert USE_PASSKEY in page.content.decode()
    assert not page.context["choice"].is_passkey_first


@pytest.mark.parametrize(
    ("recovery_codes", "sentence"),
    [
        (True, "Use a recovery code, or ask an account admin to reset your MFA."),
        (False, "Ask an account admin to reset your MFA."),
    ],
)
def test_page_says_so_where_no_method_works(moved, signed_in, settings, recovery_codes, sentence):
    settings.MFA_RECOVERY_CODES = recovery_codes
    page = signed_in(moved).get(f"{STEP_UP}?needs=passkey").content.decode()
    assert NOTHING_WORKS in page
    assert f"address. {sentence}" in page
    assert USE_PASSKEY not in page


def test_page_says_so_where_passkeys_do_not_work(signed_in, settings):
    user = PasskeyFactory().user
    browser = signed_in(user)
    assert NOTHING_WORKS not in browser.get(STEP_UP).content.decode()
    settings.PORTAL_URL = "http://192.0.2.1"
    page = browser.get(STEP_UP).content.decode()
    assert NOTHING_WORKS in page
    assert "address. Passkeys need a host name." in page


def test_recovery_code_page_leads_to_no_method_that_does_not_work(moved, signed_in, settings):
    settings.MFA_RECOVERY_CODES = True
    page = signed_in(moved).get(f"{STEP_UP}?with=recovery").content.decode()
    assert "Enter a recovery code" in page
    assert "your authenticator app</a>" not in page


def test_wrong_codes_that_end_the_session_say_so_above_the_sign_in_form(signed_in):
    user = AuthenticatorFactory().user
    browser = signed_in(user)
    for _ in range(5):
        answer = browser.post(STEP_UP, {"code": "000000", "next": "/requests/"})
    assert answer.headers["Location"] == "/sign-in/?next=%2Frequests%2F"
    page = browser.get(answer.headers["Location"]).content.decode()
    assert page.index("You were signed out after five incorrect codes") < page.index("<form")
