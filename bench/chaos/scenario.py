"""What every scenario works with."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.chaos import judge
from bench.chaos.environment import Environment
from bench.chaos.judge import Credential, Watch
from bench.chaos.portal import Portal, TooBusy
from bench.chaos.tcp_proxy import TcpProxy
from bench.chaos.verdict import Verdict
from bench.environment import Application, wait_until
from requests_app.models import Grant

SWEEP_S = 1.0
TIMEOUT_S = 90.0


@dataclass
class ActiveAccess:
    """Grants whose owners have signed in and hold their session open."""

    grants: list[Grant]
    credentials: list[Credential]
    sessions: list[psycopg.Connection[Any]]
    ends_at: float = 0.0

    @property
    def roles(self) -> set[str]:
        return {grant.login for grant in self.grants}


class FaultInjector:
    """The process that forks workers which kill themselves (bench.chaos.fault_injection)."""

    def __init__(self, environment: Environment) -> None:
        workers = environment.workers
        self._application = Application(workers.environment, workers.log)
        self._process = self._application.launch(
            "-m", "bench.chaos.fault_injection",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answers: dict[int, dict[str, Any]] = {}
        self._last = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def order(self, stage: str, at: int, *, suspends: bool = False) -> int:
        """Fork a worker that dies or is suspended at a boundary, and return its number."""
        self._last += 1
        self._send({"id": self._last, "stage": stage, "at": at, "suspends": suspends})
        return self._last

    def answer(self, number: int, timeout_s: float = 20.0) -> dict[str, Any] | None:
        wait_until(lambda: self.has_answered(number), timeout_s=timeout_s, interval_s=0.02)
        return self._answers.pop(number, None)

    def has_answered(self, number: int) -> bool:
        return number in self._answers

    def resume(self, number: int) -> None:
        self._send({"resume": number})

    def stop(self, number: int) -> None:
        self._send({"stop": number})

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._application.stop()

    def _send(self, order: dict[str, Any]) -> None:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers.setdefault(answer["id"], answer)


@dataclass
class ScenarioContext:
    """Environment, portal and fault injector, and the steps that scenarios share."""

    environment: Environment
    portal: Portal
    proxy: TcpProxy
    faults: FaultInjector
    size: int  # grants of an ordinary scenario
    storm_size: int  # grants that end in the same second
    silence_s: float  # how long the portal's database is silent
    say: Callable[[str], None]
    pace_s: float = 1.0  # how long this machine takes to activate one, reveal it and sign in

    def measure_pace(self, number: int = 10) -> None:
        for size in (1, number):  # the first one warms up
            started = time.monotonic()
            access = self.activate(size)
            self.pace_s = (time.monotonic() - started) / number
            self.portal.end(access.grants)
            self.portal.wait_ended(access.grants, TIMEOUT_S)
            self.close(access)
        self.say(f"this machine takes {self.pace_s * 1000:.0f} ms to activate one and sign in")

    def time_for(self, number: int) -> float:
        """Return a common end for that many, late enough for this machine to activate them all."""
        return time.time() + 10 + 1.5 * self.pace_s * number

    def activate(
        self, number: int, flow: str = "reader", *, ends_at: float | None = None
    ) -> ActiveAccess:
        """Activate that many by the workers, reveal every credential, sign in with each.

        With ``ends_at`` all of them end at that moment.
        """
        requests = [self.portal.submit(flow, ends_at=ends_at) for _ in range(number)]
        self.environment.ensure_workers(2)
        grants = self.portal.wait_active(requests, TIMEOUT_S)
        credentials = self.portal.reveal(grants)
        sessions = []
        try:
            sessions += [judge.sign_in(self.environment, item) for item in credentials]
        finally:
            if ends_at is not None and time.time() > ends_at - 0.7:
                raise TooBusy(f"{number} were not active before their end.")
        return ActiveAccess(grants, credentials, sessions, ends_at or 0)

    @staticmethod
    def close(access: ActiveAccess) -> None:
        for session in access.sessions:
            session.close()

    def verdict(
        self,
        name: str,
        access: ActiveAccess,
        watch: Watch,
        since: float,
        *,
        beside: Iterable[str] = (),
    ) -> Verdict:
        """Wait for the proof of every end, then judge by the target.

        ``since`` is when target and a worker were up and the end had come. Whatever is usable a sweep
        interval later is counted, and so is what a credential or session can really do. ``beside`` are
        roles that are still there by right.
        """
        wait_until(watch.is_done, timeout_s=TIMEOUT_S)
        usable = judge.usable_roles(self.environment, access.credentials, access.sessions)
        ends = dict.fromkeys(access.roles, since)
        if access.ends_at:  # the deadline of each is a moment after the common end
            ends = {grant.login: max(since, grant.deadline.timestamp()) for grant in access.grants}
        late = {role for role, at in watch.last_usable_at.items() if at > ends[role] + SWEEP_S}
        is_proven = self.portal.wait_ended(access.grants, TIMEOUT_S)
        roles = judge.list_roles(self.environment)
        by_right = {f"role {role}" for role in beside}
        leftovers = [one for one in judge.find_leftovers(self.environment) if one not in by_right]
        self.close(access)
        return Verdict(
            name,
            grants=len(access.grants),
            ended=sum(grant.login not in roles for grant in access.grants),
            usable_past_end=len(usable | late),
            left_behind=len(leftovers),
            contained_s=[max(at - ends[role], 0.0) for role, at in watch.contained_at.items()],
            faults=[*([] if is_proven else ["Not every end was proven in time."]), *leftovers[:5]],
        )


def sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.time(), 0))
