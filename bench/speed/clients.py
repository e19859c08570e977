"""People of the portal and of the baseline, and what they send."""

import itertools
import threading
import time
from typing import Any

import pyotp

from bench.browser import Browser, Response
from bench.environment import InvalidRun

STEP_S = 30
STEP_UP, NEW_REQUEST = "/account/step-up/", "/requests/new/"
CSRF_TOKEN = "b" * 32
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"


class UnusedCodes:
    """Hands out people with right codes that were not used: two a person at any moment, not the one of
    the step before, which may be over when it arrives."""

    def __init__(self, people: list[dict[str, Any]]) -> None:
        now = int(time.time()) // STEP_S
        self._steps = itertools.cycle([(person, itertools.count(now)) for person in people])
        self._lock = threading.Lock()

    def next(self) -> tuple[dict[str, Any], str]:
        with self._lock:
            person, steps = next(self._steps)
            now = int(time.time()) // STEP_S
            step = next(step for step in steps if step >= now)
            while step > int(time.time()) // STEP_S + 1:
                time.sleep(0.2)  # everybody has used both
            return person, pyotp.TOTP(person["secret"]).at(step * STEP_S)


def wrong_code(secret: str) -> str:
    """Return six digits that are none of the codes around this moment."""
    totp = pyotp.TOTP(secret)
    near = {totp.at(time.time(), counter_offset=steps) for steps in range(-3, 4)}
    return next(code for code in ("123456", "234567", "345678", "456789") if code not in near)


def expect(is_expected: bool, operation: str, response: Response) -> None:  # noqa: FBT001
    if not is_expected:
        raise InvalidRun(
            f"{operation}: {response.status} {response.location} {response.text[:300]!r}"
        )


def _post(browser: Browser, url: str, **fields: str) -> Response:
    return browser.post(url, {"csrfmiddlewaretoken": CSRF_TOKEN, **fields})


class BaselineClients:
    def __init__(self, people: list[dict[str, Any]]) -> None:
        self._people = itertools.cycle(people)

    def _sign_in(self, browser: Browser) -> None:
        session = next(self._people)["session"]
        browser.cookies = {"sessionid": session, "csrftoken": CSRF_TOKEN}

    def submit_form(self, browser: Browser) -> None:
        self._sign_in(browser)
        response = _post(browser, "/note/", text="A few words")
        expect(response.status == 302 and response.location == "/note/", "baseline form", response)

    def get_page(self, browser: Browser) -> None:
        self._sign_in(browser)
        response = browser.get("/note/")
        expect(response.status == 200 and "<form" in response.text, "baseline page", response)


def sign_in(browser: Browser, person: dict[str, Any]) -> None:
    """Act as a person of the portal, in their trusted browser."""
    name, value = person["trusted"]
    browser.cookies = {"session": person["session"], "csrf": CSRF_TOKEN, name: value}
    browser.agent = USER_AGENT


class PortalClients:
    """``people`` are groups by operation, each used for one only."""

    def __init__(self, people: dict[str, list[dict[str, Any]]], target: int) -> None:
        self._codes = UnusedCodes(people["verify"])
        self._groups = {name: itertools.cycle(group) for name, group in people.items()}
        self._target = str(target)

    def _sign_in(self, browser: Browser, group: str) -> dict[str, Any]:
        person = next(self._groups[group])
        sign_in(browser, person)
        return person

    def submit_right_code(self, browser: Browser) -> None:
        person, code = self._codes.next()
        sign_in(browser, person)
        response = _post(browser, STEP_UP, code=code)
        expect(response.status == 302 and response.location == "/", "right code", response)
        person["session"] = browser.cookies["session"]

    def submit_wrong_code(self, browser: Browser) -> None:
        person = self._sign_in(browser, "wrong")
        response = _post(browser, STEP_UP, code=wrong_code(person["secret"]))
        expect(response.status == 422, "wrong code", response)

    def get_verification_page(self, browser: Browser) -> None:
        self._sign_in(browser, "page")
        response = browser.get(STEP_UP)
        is_page = response.status == 200 and "Six-digit code" in response.text
        expect(is_page, "verification page", response)

    def submit_request(self, browser: Browser) -> None:
        self._sign_in(browser, "submit")
        response = _post(
            browser, NEW_REQUEST, target=self._target, duration="1h",
            justification="Look into the failed import, OPS-1.",
        )  # fmt: skip
        expect(response.status == 302 and "/requests/AR-" in response.location, "request", response)
