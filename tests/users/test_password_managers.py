"""What browsers and password managers look for in forms with passwords and codes."""

import pytest
from bs4 import BeautifulSoup, Tag
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apono_portal.users.models import User
from tests.factories import AuthenticatorFactory, UserFactory
from tests.mfa.conftest import freshly_signed_in

pytestmark = pytest.mark.django_db
PASSWORDS = ["current-password", "new-password", "new-password"]


@pytest.fixture
def user() -> User:
    return UserFactory(email="petra@example.org")


def fields_of(browser: Client, address: str) -> list[Tag]:
    page = BeautifulSoup(browser.get(address, follow=True).content, "html.parser")
    form = page.select_one("form:has(input[autocomplete])")
    return form.select("input[autocomplete]")


def completions(browser: Client, address: str) -> list[str]:
    return [str(field["autocomplete"]) for field in fields_of(browser, address)]


def test_sign_in(user):
    assert completions(Client(), reverse("users:sign_in")) == ["username", "current-password"]


def test_every_form_for_a_password_names_its_account(user, signed_in):
    browser = signed_in(user)
    user.refresh_from_db()
    user_id = urlsafe_base64_encode(force_bytes(user.pk))
    token = default_token_generator.make_token(user)
    link = reverse("users:set_password", args=[user_id, token])
    for client, address, passwords in (
        (Client(), link, PASSWORDS[1:]),
        (browser, reverse("users:password"), PASSWORDS),
        (browser, reverse("requests:confirm_password"), PASSWORDS[:1]),
    ):
        account, *others = fields_of(client, address)
        assert account["autocomplete"] == "username"
        assert account["value"] == user.email
        assert account["tabindex"] == "-1"
        assert [field["autocomplete"] for field in others] == passwords


def test_codes_are_completed_as_codes_and_never_remembered(user, signed_in):
    browser = freshly_signed_in(user, signed_in)
    browser.post(reverse("requests:set_up"))
    assert completions(browser, reverse("requests:set_up")) == ["one-time-code", "off"]
    AuthenticatorFactory(user=user)
    browser = signed_in(User.objects.get(pk=user.pk))
    assert completions(browser, reverse("requests:step_up")) == ["one-time-code"]
    recovery = reverse("requests:step_up") + "?with=recovery"
    [field] = fields_of(browser, recovery)
    assert (field["autocomplete"], field["autocapitalize"]) == ("off", "none")


def test_a_password_manager_finds_the_page_to_change_a_password(user, signed_in):
    answer = signed_in(user).get("/.well-known/change-password")
    assert answer.headers["Location"] == reverse("users:password")
    sign_in = Client().get("/.well-known/change-password")
    assert sign_in.headers["Location"] == "/sign-in/?next=/.well-known/change-password"


def test_no_other_well_known_address_answers(user, signed_in):
    """As the specification tests whether a missing page is a 404 here."""
    address = "/.well-known/resource-that-should-not-exist-whose-status-code-should-not-be-200"
    assert signed_in(user).get(address).status_code == 404
