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
_TOKEN = string.ascii_letters + string.digits
REASON = "Look into the failed import of last night, OPS-7."


def made_up_token() -> str:
    """A CSRF token as robots make them up: the cookie and the field only have to agree."""
    return "".join(secrets.choice(_TOKEN) for _ in range(32))


def shown(page: str) -> str:
    """The words of a page, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


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
