"""What every scenario works with."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from bench.chaos import judge
from bench.chaos.ground import Ground
from bench.chaos.judge import Key, Watch
from bench.chaos.line import Line
from bench.chaos.portal import Portal, TooBusy, until
from bench.chaos.verdict import Verdict
from requests_app.models import Grant

SWEEP_S = 1.0
PATIENCE_S = 90.0


@dataclass
class Access:
    """Grants whose owners have signed in and hold their session open."""

    grants: list[Grant]
    keys: list[Key]
    sessions: list[psycopg.Connection[Any]]
    ends_at: float = 0.0

    def end_of(self, grant: Grant, since: float) -> float:
        """When one may be used no more: by the deadline on its row, which is a moment after the one
        all were asked for, and not before ``since``."""
        return max(since, grant.deadline.timestamp()) if self.ends_at else since

    @property
    def last_end(self) -> float:
        return max(grant.deadline.timestamp() for grant in self.grants)

    @property
    def roles(self) -> set[str]:
        return {grant.login for grant in self.grants}

    def close(self) -> None:
        for session in self.sessions:
            session.close()


class Saboteur:
    """The process that forks workers which kill themselves (bench.chaos.saboteur)."""

    def __init__(self, ground: Ground) -> None:
        self._process = ground.launch(
            ["-m", "bench.chaos.saboteur"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._answers: dict[int, dict[str, Any]] = {}
        self._last = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def order(self, stage: str, at: int) -> int:
        """Fork a worker that dies at a boundary. Returns its number."""
        self._last += 1
        self._say({"id": self._last, "stage": stage, "at": at})
        return self._last

    def answer(self, number: int, patience_s: float = 20.0) -> dict[str, Any] | None:
        until(lambda: number in self._answers, patience_s)
        return self._answers.pop(number, None)

    def has_answered(self, number: int) -> bool:
        return number in self._answers

    def stop(self, number: int) -> None:
        self._say({"stop": number})

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(10)

    def _say(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers.setdefault(answer["id"], answer)


@dataclass
class Stage:
    """Ground, portal and saboteur, and the moves scenarios share."""

    ground: Ground
    portal: Portal
    line: Line
    saboteur: Saboteur
    size: int  # grants of an ordinary scenario
    storm: int  # grants that end in the same second
    say: Callable[[str], None]
    pace_s: float = 1.0  # how long this machine takes to open one, show it and sign in

    def measure_pace(self, number: int = 10) -> None:
        for warm in (False, True):
            started = time.monotonic()
            access = self.open(number if warm else 1)
            self.pace_s = (time.monotonic() - started) / number
            self.portal.end(access.grants)
            self.portal.wait_ended(access.grants, PATIENCE_S)
            access.close()
        self.say(f"this machine takes {self.pace_s * 1000:.0f} ms to open one and sign in")

    def moment_for(self, number: int) -> float:
        """A common end for that many, far enough away for this machine to open them all."""
        return time.time() + 10 + 1.5 * self.pace_s * number

    def open(self, number: int, flow: str = "reader", *, ends_at: float | None = None) -> Access:
        """Open that many by the workers, show every credential, sign in with each.

        With ``ends_at`` all of them end at that same moment.
        """
        requests = [self.portal.ask(flow, ends_at=ends_at) for _ in range(number)]
        self.need_workers(2)
        grants = self.portal.wait_active(requests, PATIENCE_S)
        keys = self.portal.reveal(grants)
        try:
            sessions = [judge.sign_in(self.ground, key) for key in keys]
        except psycopg.OperationalError:
            self._require_time_left(number, ends_at)
            raise
        self._require_time_left(number, ends_at)
        return Access(grants, keys, sessions, ends_at or 0)

    @staticmethod
    def _require_time_left(number: int, ends_at: float | None) -> None:
        if ends_at is not None and time.time() > ends_at - 0.7:
            raise TooBusy(f"{number} were not open before their end.")

    def need_workers(self, number: int) -> None:
        if self.ground.workers_up < number:
            self.ground.start_workers(number - self.ground.workers_up)

    def verdict(
        self,
        name: str,
        access: Access,
        watch: Watch,
        since: float,
        *,
        patience_s: float = PATIENCE_S,
    ) -> Verdict:
        """Wait for the proof of every end, then judge by the target.

        ``since`` is when target and a worker were up and the end had come. What is usable a sweep
        interval later is counted, and so is what a credential or session can do for real.
        """
        watch.wait(patience_s)
        works = judge.usable(self.ground, access.keys, access.sessions)
        ends = {grant.login: access.end_of(grant, since) for grant in access.grants}
        late = {role for role, at in watch.last_usable_at.items() if at > ends[role] + SWEEP_S}
        proven = self.portal.wait_ended(access.grants, patience_s)
        standing = judge.standing(self.ground)
        verdict = Verdict(
            name,
            grants=len(access.grants),
            ended=sum(grant.login not in standing for grant in access.grants),
            usable_past_end=len(works | late),
            contained_s=[max(at - ends[role], 0.0) for role, at in watch.contained_at.items()],
        )
        if not proven:
            verdict.faults.append("Not every end was proven in time.")
        self.count_left(verdict)
        access.close()
        return verdict

    def count_left(self, verdict: Verdict) -> None:
        left = judge.left_behind(self.ground)
        verdict.left_behind = len(left)
        verdict.faults += left[:5]


def sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.time(), 0))
