"""The controls: rightful owners who work while the portal is under attack.

Each has a trusted browser and does the whole round: sign in, verify, request, reveal the credential,
sign in on the target, end the access. A campaign whose control users fail proves nothing.
"""

import threading
import time

from bench.attack.campaign import Campaign
from bench.attack.people import STEP_S
from bench.environment import wait_until

TIMEOUT_S = 45  # for a request to become active


class ControlUser(threading.Thread):
    """One owner in a trusted browser, round after round until stopped."""

    def __init__(self, campaign: Campaign, name: str, address: str) -> None:
        super().__init__(name=f"control user {name}", daemon=True)
        self._campaign, self._controls = campaign, campaign.controls
        self.client = campaign.client(name, address)
        self._last_step = 0
        self._stopping = threading.Event()

    def run(self) -> None:
        while not self._stopping.is_set():
            self.do_round()
            self._stopping.wait(5)

    def stop(self) -> None:
        if self.is_alive():
            self._stopping.set()
            self.join()

    def do_round(self) -> None:
        try:
            if self._enter() and self._work():
                with self._controls.lock:
                    self._controls.rounds += 1
        except Exception as error:  # noqa: BLE001 - whatever it is, it happened to an owner
            self._fail(repr(error))

    def _fail(self, detail: str, *, locked_out: bool = False) -> bool:
        self._controls.add_failure(f"{self.name}: {detail}", locked_out=locked_out)
        return False

    def _enter(self) -> bool:
        """Sign in and enter the next unused code, both of which an attack might have locked."""
        self.client.browser.cookies.pop("session", None)
        response = self.client.submit_password(self.client.person.password)
        if response.status != 302:
            return self._fail(f"sign-in {response.status}", locked_out=True)
        response = self.client.submit_code(self._next_code())
        if response.status != 302 or not self.client.window_is_open():
            return self._fail(f"code {response.status} {response.path}", locked_out=True)
        return True

    def _next_code(self) -> str:
        """Wait for an unused code, as people do."""
        while (step := int(self._campaign.portal.now()) // STEP_S) <= self._last_step:
            time.sleep(0.2)
        self._last_step = step
        return self.client.person.code(step * STEP_S)

    def _work(self) -> bool:
        """Request, wait, reveal, sign in on the target, end."""
        client = self.client
        response = client.request_access("orders")
        number = client.newest_request()
        if response.status != 302 or not number:
            return self._fail(f"request {response.status}")
        if not wait_until(lambda: client.status_of(number) == "Active", timeout_s=TIMEOUT_S):
            return self._fail(f"AR-{number} is {client.status_of(number)}")
        credential = client.reveal(number)
        self._campaign.judge.add_rightful(credential.get("user", ""))
        if not credential or not self._campaign.target.can_read(credential):
            return self._fail(f"AR-{number} gave no working credential")
        return client.end(number) or self._fail(f"AR-{number} could not be revoked")
