"""Codes and keys as keyboards, clipboards, tabs and hurried hands treat them, in a real browser."""

import re
from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Locator, Page, Route, expect

from apono_portal.users.models import User
from mfa.models import Authenticator, Verification
from tests.browser.authenticator import Phone
from tests.conftest import BACKEND
from tests.factories import PASSWORD, AuthenticatorFactory, UserFactory, code_for

pytestmark = pytest.mark.django_db(transaction=True)
STEP_UP = "/account/step-up/"
FULL_WIDTH, ARABIC, PERSIAN = 0xFF10, 0x0660, 0x06F0  # the zeros of these digits


def written(digits: str, zero: int) -> str:
    return "".join(chr(zero + int(digit)) for digit in digits)


PASTED = [
    "123 456",
    "123\u00a0456",
    "123\u202f456",
    "\u200b123\u2009456\ufeff",
    "123\u2013456\n",
    "Your code is 123-456. It expires in 10 minutes.",
    written("123456", FULL_WIDTH),
]


@pytest.fixture
def signed_in_page(new_context, live_server) -> Callable[[User], Page]:
    """``signed_in_page(user)`` is a page of that person's browser."""

    def come(user: User) -> Page:
        client = Client()
        client.force_login(user, backend=BACKEND)
        name = settings.SESSION_COOKIE_NAME
        cookie = {"name": name, "value": client.cookies[name].value, "url": live_server.url}
        context = new_context(
            base_url=live_server.url, permissions=["clipboard-read", "clipboard-write"]
        )
        context.add_cookies([cookie])
        return context.new_page()

    return come


@pytest.fixture
def authenticator() -> Authenticator:
    return AuthenticatorFactory(user=UserFactory())


def code_field(page: Page) -> Locator:
    return page.get_by_label("Six-digit code", exact=True)


def paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("ControlOrMeta+v")


def test_the_field_takes_what_clipboards_and_keyboards_give(signed_in_page, authenticator):
    page = signed_in_page(authenticator.user)
    page.goto(STEP_UP)
    field = code_field(page)
    expect(field).to_be_focused()
    expect(field).to_have_attribute("inputmode", "numeric")
    for text in PASTED:
        field.fill("999999")
        paste(page, text)  # over the code before it, without selecting that first
        expect(field).to_have_value("123456")
    field.fill("")
    for digits in (written("123", FULL_WIDTH), written("45", ARABIC), written("6", PERSIAN)):
        page.keyboard.insert_text(digits)
    expect(field).to_have_value("123456")
    field.evaluate("field => field.setSelectionRange(2, 3)")
    page.keyboard.type("x9")  # a letter on the way does not move the cursor
    expect(field).to_have_value("129456")


def test_an_input_method_composes_undisturbed(signed_in_page, authenticator):
    page = signed_in_page(authenticator.user)
    page.goto(STEP_UP)
    session = page.context.new_cdp_session(page)
    for text in (written("12"[:length], FULL_WIDTH) for length in (1, 2)):
        composition = {"text": text, "selectionStart": len(text), "selectionEnd": len(text)}
        session.send("Input.imeSetComposition", composition)
        expect(code_field(page)).to_have_value(text)
    session.send("Input.insertText", {"text": written("123", FULL_WIDTH)})
    expect(code_field(page)).to_have_value("123")


def test_two_clicks_send_one_code_and_two_tabs_are_no_attack(signed_in_page, authenticator):
    page = signed_in_page(authenticator.user)
    other = page.context.new_page()
    page.goto(STEP_UP)
    other.goto(STEP_UP)
    code = code_for(authenticator)
    code_field(page).fill(code)
    box = page.get_by_role("button", name="Verify").bounding_box()
    held: list[Route] = []
    page.route(f"**{STEP_UP}", lambda route: held.append(route))
    for _ in range(2):  # the second click comes while the first one's answer is on its way
        page.mouse.click(box["x"] + 5, box["y"] + 5)
        page.wait_for_timeout(150)
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_text("Verified for one hour.")).to_be_visible()
    assert [row.outcome for row in Verification.objects.all()] == ["ok"]
    code_field(other).fill(code)
    code_field(other).press("Enter")
    expect(other.get_by_role("alert")).to_contain_text("That code was just used.")
    expect(other.get_by_text("You are verified until")).to_be_visible()
    assert not Verification.objects.failures().exists()


def test_key_and_codes_are_kept_whatever_happens(signed_in_page):
    """A wrong code keeps the key; the key is copied without spaces; the codes are in every copy."""
    page = signed_in_page(UserFactory())
    page.goto("/account/security/")
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Set up").click()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    phone = Phone.scan(page.get_by_role("img", name="QR code").screenshot())
    page.get_by_role("button", name="Copy key").click()
    assert page.evaluate("navigator.clipboard.readText()") == phone.secret
    wrong = f"{(int(phone.totp.now()) + 500_000) % 1_000_000:06}"
    code_field(page).fill(wrong)
    page.get_by_role("button", name="Turn on MFA").click()
    expect(code_field(page)).to_be_focused()
    expect(code_field(page)).to_have_accessible_description(re.compile("Incorrect code"))
    assert Phone.scan(page.get_by_role("img", name="QR code").screenshot()).secret == phone.secret
    code_field(page).fill(phone.code())
    page.get_by_role("button", name="Turn on MFA").dblclick()
    expect(page.get_by_role("heading", name="MFA is on")).to_be_visible()
    keep_codes(page)


def keep_codes(page: Page) -> None:
    codes = (
        page.get_by_role("list", name="Recovery codes").get_by_role("listitem").all_inner_texts()
    )
    assert len(codes) == 10
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "recovery-codes.txt"
    text = download.value.path().read_text()
    assert all(code in text for code in codes)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").split() == text.split()
    page.evaluate("print = () => document.title = 'printed'")
    page.get_by_role("button", name="Print").click()
    expect(page).to_have_title("printed")
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.get_by_role("list", name="Recovery codes")).to_be_visible()
    expect(page.get_by_label("I have saved these codes")).to_be_hidden()
