"""The controls: rightful owners go about their work while the portal is under attack.

Each has a browser that is known, and does the whole round: sign in, enter a code, request, have the
credential shown, sign in on the target, end the access. An attack campaign whose owners do not get
through proves nothing.
"""

import threading
import time

from bench.attack.campaign import Campaign, until
from bench.attack.people import STEP_S
from bench.attack.tally import Controls

PATIENCE_S = 45


class Owner(threading.Thread):
    """One owner in a known browser, round after round until stopped."""

    def __init__(self, campaign: Campaign, name: str, address: str, controls: Controls) -> None:
        super().__init__(name=f"owner {name}", daemon=True)
        self._campaign, self._controls = campaign, controls
        self._visitor = campaign.as_(name, address)
        self._last_step = 0
        self._enough = threading.Event()

    @property
    def person_name(self) -> str:
        return self._visitor.person.name

    @property
    def device_cookies(self) -> dict[str, str]:
        """What makes this browser a known one."""
        cookies = self._visitor.browser.cookies
        return {name: value for name, value in cookies.items() if "trusted-browser" in name}

    def run(self) -> None:
        while not self._enough.is_set():
            self.round()
            self._enough.wait(5)

    def stop(self) -> None:
        self._enough.set()
        self.join()

    def round(self) -> None:
        started = time.monotonic()
        try:
            if self._enter() and self._work():
                self._controls.done(time.monotonic() - started)
        except Exception as error:  # noqa: BLE001 - whatever it is, it happened to an owner
            self._controls.failed(f"{self.name}: {error!r}")

    def _enter(self) -> bool:
        """Sign in and enter the next unused code, both of which an attack might have locked."""
        self._visitor.browser.cookies.pop("session", None)
        answer = self._visitor.try_password(self._visitor.person.password)
        if answer.status != 302:
            self._controls.failed(f"{self.name}: sign-in {answer.status}", locked_out=True)
            return False
        answer = self._visitor.try_code(self._next_code())
        if answer.status != 302 or not self._visitor.window_is_open():
            what = f"{self.name}: code {answer.status} {answer.path}"
            self._controls.failed(what, locked_out=True)
            return False
        return True

    def _next_code(self) -> str:
        """Wait for a code that was not used, as people do."""
        while (step := int(self._campaign.portal.now()) // STEP_S) <= self._last_step:
            time.sleep(0.2)
        self._last_step = step
        return self._visitor.person.code(step * STEP_S)

    def _work(self) -> bool:
        """Request, wait, reveal, sign in on the target, end."""
        visitor, judge = self._visitor, self._campaign.judge
        asked = visitor.ask_for("orders")
        number = visitor.newest()
        if asked.status != 302 or not number:
            self._controls.failed(f"{self.name}: request {asked.status}")
            return False
        if not until(lambda: visitor.status_of(number) == "Active", patience_s=PATIENCE_S):
            told = f"{visitor.status_of(number)}: {visitor.message_of(number)}"
            self._controls.failed(f"{self.name}: AR-{number} is {told}")
            return False
        credential = visitor.reveal(number)
        judge.rightful(credential.get("user", ""))
        if not credential or not self._campaign.portal.servers.target.can_read(credential):
            self._controls.failed(f"{self.name}: AR-{number} gave no working credential")
            return False
        visitor.end(number)
        return True
