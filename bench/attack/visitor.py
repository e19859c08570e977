"""What somebody does in the portal, by its pages: sign in, enter a code, request, reveal, end."""

import html
import re
import secrets
import string

from bench.attack.browser import Answer, Browser
from bench.attack.people import Person
from bench.attack.portal import Portal

SIGN_IN = "/sign-in/"
SECURITY = "/account/security/"
STEP_UP = "/account/step-up/"
NEW_REQUEST = "/requests/new/"
_PILL = re.compile(r'class="mfa-pill" data-state="(\w+)"')
_STATUS = re.compile(r'<span class="chip[^"]*">(.*?)</span>', re.S)
_OVERVIEW = re.compile(r'<div class="overview-time">(.*?)</div>', re.S)
_CREDENTIAL = re.compile(r'<dd data-copy="(\w+)">(.*?)</dd>')
_TOKEN = string.ascii_letters + string.digits
REASON = "Look into the failed import of last night, OPS-7."


def made_up_token() -> str:
    """A CSRF token as robots make them up: the cookie and the field only have to agree."""
    return "".join(secrets.choice(_TOKEN) for _ in range(32))


def shown(page: str) -> str:
    """The words of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def credential_on(page: str) -> dict[str, str]:
    """The credential a page shows, as its owner would copy it; empty without a password."""
    found = {name: shown(value) for name, value in _CREDENTIAL.findall(page)}
    return found if found.get("password") else {}


class Visitor:
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
        self.browser.cookies.setdefault("csrf", made_up_token())

    def twin(self, address: str | None = None) -> "Visitor":
        return Visitor(self.portal, self.person, browser=self.browser.twin(address))

    def sign_in(self, password: str | None = None, **more: str) -> bool:
        """Enter the password, and say whether that opened a session."""
        return self.try_password(password or self.person.password, **more).status == 302

    def try_password(self, password: str, **more: str) -> Answer:
        return self.browser.post(
            SIGN_IN, {"username": self.person.email, "password": password, **more}
        )

    def sign_out(self) -> Answer:
        return self.browser.post("/sign-out/")

    def is_signed_in(self) -> bool:
        return self.browser.get(SECURITY).status == 200

    def code(self, steps: int = 0) -> str:
        return self.person.code(self.portal.now(), steps)

    def wrong_code(self) -> str:
        """Six digits that are none of the accepted ones: what a guess all but always is."""
        right = {self.code(steps) for steps in range(-3, 4)}
        while (guess := f"{secrets.randbelow(1_000_000):06}") in right:
            pass
        return guess

    def try_code(self, code: str, **more: str) -> Answer:
        return self.browser.post(STEP_UP, {"code": code, **more})

    def window_is_open(self) -> bool:
        """What the page says about the verified window of this session."""
        found = _PILL.search(self.browser.get(SECURITY).text)
        return found is not None and found[1] in {"verified", "ending"}

    # With MFA

    def verify(self) -> bool:
        """Enter the oldest right code that was not entered yet; say whether the window is open.

        A code is never entered a second time, which would count as a wrong one: while there is no
        new one, nothing is entered.
        """
        code = self.portal.spent.next_code(self.person, self.portal.now())
        return bool(code) and self.try_code(code).status in {302, 303} and self.window_is_open()

    # Requests

    def ask_for(self, name: str, **changes: str | list[str]) -> Answer:
        """Request what a flow gives, as its form comes, with ``changes``."""
        flow = self.portal.people["flows"][name]
        fields: dict[str, str | list[str]] = {
            "target": str(flow["target"]),
            "duration": "30m",
            "justification": REASON,
        }
        pairs: list[tuple[str, str]] = []
        for field, value in {**fields, **changes}.items():
            pairs += [(field, each) for each in (value if isinstance(value, list) else [value])]
        return self.browser.post(NEW_REQUEST, pairs)

    def references(self) -> list[str]:
        """The numbers of this person's requests, newest first."""
        found = re.findall(r"/requests/AR-(\d+)/", self.browser.get("/requests/").text)
        return list(dict.fromkeys(found))

    def newest(self) -> str:
        found = self.references()
        return max(found, key=int) if found else ""

    def request_page(self, number: str) -> Answer:
        return self.browser.get(f"/requests/AR-{number}/")

    def status_of(self, number: str) -> str:
        """The word of the page for where a request stands."""
        page = self.request_page(number).text
        found = _STATUS.search(page, max(page.find("<main"), 0))
        return shown(found[1]) if found else ""

    def message_of(self, number: str) -> str:
        """What the page says about a request, shortened."""
        found = _OVERVIEW.search(self.request_page(number).text)
        return shown(found[1])[:200] if found else ""

    def reveal(self, number: str) -> dict[str, str]:
        """Have the credential shown; empty if it is not."""
        page = self.request_page(number)
        try:
            form = page.form_to("/credentials/")
        except LookupError:
            return {}
        return credential_on(self.browser.submit(form).text)

    def replace_credential(self, number: str) -> dict[str, str]:
        """Have a new password made in place of the one that was shown; empty if it is not."""
        url = f"/requests/AR-{number}/credentials/reset/"
        return credential_on(self.browser.post(url).text)

    def end(self, number: str) -> Answer:
        return self.browser.post(f"/requests/AR-{number}/end/")
