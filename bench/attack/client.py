"""What a person does in the portal through its pages: sign in, verify, request, reveal, end."""

import re
import secrets
import time

from bs4 import Tag

from bench.attack.people import Person
from bench.attack.portal import Portal
from bench.browser import Browser, Response

MAX_BUSY = 100
SIGN_IN = "/sign-in/"
SECURITY = "/account/security/"
STEP_UP = "/account/step-up/"
ADD_PASSKEY = "/account/security/passkey/"
PASSKEY_OPTIONS = "/account/passkey/options/"
JUSTIFICATION = "Look into the failed import of last night, OPS-7."


def text_of(element: Tag | None) -> str:
    """Return the words of an element, "" if there is none."""
    return " ".join(element.get_text(" ").split()) if element is not None else ""


def credential_on(page: Response) -> dict[str, str]:
    """Return the credential a page shows, empty without a password."""
    if "data-copy" not in page.text:
        return {}
    parts = {str(part["data-copy"]): part.get_text() for part in page.soup.select("dd[data-copy]")}
    return parts if parts.get("password") else {}


class Client:
    """A person, or somebody who goes about as that person, in a browser of their own."""

    def __init__(
        self,
        portal: Portal,
        person: Person,
        address: str = "127.0.0.1",
        browser: Browser | None = None,
    ) -> None:
        self.portal, self.person = portal, person
        self.browser = browser or portal.browser(address)
        self.browser.cookies.setdefault("csrf", secrets.token_hex(16))  # made up, as robots do

    def twin(self, address: str | None = None) -> "Client":
        return Client(self.portal, self.person, browser=self.browser.twin(address))

    def sign_in(self, password: str | None = None) -> bool:
        """Enter the password and return whether that opened a session."""
        return self.submit_password(password or self.person.password).status == 302

    def submit_password(self, password: str, **more: str) -> Response:
        """Post the form, again while the portal is too busy to look at it."""
        fields = {"username": self.person.email, "password": password, **more}
        for _ in range(MAX_BUSY):
            response = self.browser.post(SIGN_IN, fields)
            if response.status != 503:
                break
            time.sleep(0.1)
        return response

    @property
    def device_cookies(self) -> dict[str, str]:
        """What makes this browser a trusted one."""
        cookies = self.browser.cookies
        return {name: value for name, value in cookies.items() if "trusted-browser" in name}

    def sign_out(self) -> Response:
        return self.browser.post("/sign-out/")

    def is_signed_in(self) -> bool:
        return self.browser.get(SECURITY).status == 200

    def code(self, steps: int = 0) -> str:
        return self.person.code(self.portal.now(), steps)

    def wrong_code(self) -> str:
        """Return six digits that are not accepted now: what a guess all but always is."""
        right = {self.code(steps) for steps in range(-3, 4)}
        while (guess := f"{secrets.randbelow(1_000_000):06}") in right:
            pass
        return guess

    def submit_code(self, code: str, **more: str) -> Response:
        return self.browser.post(STEP_UP, {"code": code, **more})

    def passkey_options(self) -> str:
        """Return the options for the use of a passkey, "" if there are none."""
        response = self.browser.post(PASSKEY_OPTIONS)
        return response.text if response.status == 200 else ""

    def registration_options(self) -> str:
        """Return the options for a new passkey, "" if there are none."""
        response = self.browser.post(f"{ADD_PASSKEY}options/")
        return response.text if response.status == 200 else ""

    def submit_passkey(self, answer: str) -> Response:
        return self.browser.post(STEP_UP, {"credential": answer})

    def verify(self) -> bool:
        """Enter the oldest unused right code and return whether the window is open.

        Nothing is entered while there is no unused code: a used one counts as a wrong one.
        """
        code = self.portal.used_steps.next_code(self.person, self.portal.now())
        return bool(code) and self.submit_code(code).status == 302 and self.window_is_open()

    def window_is_open(self) -> bool:
        """Return what the page says about the verified window of this session."""
        pill = self.browser.get(SECURITY).soup.select_one(".mfa-pill")
        return pill is not None and pill.get("data-state") in {"verified", "ending"}

    def request_access(self, name: str, **changes: str | list[str]) -> Response:
        """Request what a flow gives, as its form comes, with ``changes``."""
        fields: dict[str, str | list[str]] = {
            "target": str(self.portal.people["flows"][name]["target"]),
            "duration": "30m",
            "justification": JUSTIFICATION,
        }
        pairs: list[tuple[str, str]] = []
        for field, value in {**fields, **changes}.items():
            pairs += [(field, item) for item in (value if isinstance(value, list) else [value])]
        return self.browser.post("/requests/new/", pairs)

    def request_numbers(self) -> list[str]:
        """Return the numbers of this person's requests, newest first."""
        numbers = re.findall(r"/requests/AR-(\d+)/", self.browser.get("/requests/").text)
        return list(dict.fromkeys(numbers))

    def newest_request(self) -> str:
        return max(self.request_numbers(), key=int, default="")

    def request_page(self, number: str) -> Response:
        return self.browser.get(f"/requests/AR-{number}/")

    def status_of(self, number: str) -> str:
        return text_of(self.request_page(number).soup.select_one("main span.chip"))

    def reveal(self, number: str) -> dict[str, str]:
        """Have the credential shown; empty if it is not."""
        try:
            form = self.request_page(number).form(action="credentials/")
        except LookupError:
            return {}
        return credential_on(self.browser.submit(form))

    def replace_credential(self, number: str) -> dict[str, str]:
        """Have a new password made in place of the one that was shown; empty if it is not."""
        return credential_on(self.browser.post(f"/requests/AR-{number}/credentials/reset/"))

    def end(self, number: str) -> bool:
        """Revoke one's own access; return whether the portal took it."""
        return self.browser.post(f"/requests/AR-{number}/revoke/").status == 302

    def cancel(self, number: str) -> Response:
        return self.browser.post(f"/requests/AR-{number}/cancel/")
