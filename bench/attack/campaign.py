"""What every attack works with: the portal, its people, and ways to do things many times at once."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from bench.attack.client import Client
from bench.attack.judge import Judge
from bench.attack.people import Person
from bench.attack.portal import Portal
from bench.attack.scoring import CheckedGuesses, Controls, Score
from bench.environment import InvalidRun, wait_until

THREADS = 12  # enough to keep two processes busy
RACERS = 32
NAMED = ("ada", "abel", "nora", "arthur", "pia", "paul", "olga", "otto", "oona")

Item = TypeVar("Item")


class Campaign:
    """One portal under attack."""

    def __init__(self, portal: Portal, say: Callable[[str], None] = print) -> None:
        self.portal, self.say = portal, say
        self.target = portal.servers.target
        self.judge = Judge(self.target)
        self.scores: list[Score] = []
        self.errors: list[str] = []  # any makes the campaign invalid
        self.controls, self.guesses = Controls(), CheckedGuesses()
        self.trusted: dict[str, dict[str, str]] = {}  # cookies of the control users' browsers
        self.changed: set[str] = set()  # emails of people changed by an attack's story
        self.flows: dict[str, dict[str, int]] = portal.people["flows"]
        self.people = {row["name"]: Person(**row) for row in portal.people["people"]}
        others = [person for name, person in self.people.items() if name not in NAMED]
        self.not_enrolled = [person for person in others if not person.secret]
        enrolled = [person for person in others if person.secret]
        part = len(enrolled) // 4
        # The crowd's passwords are stolen, and they are not there themselves. Lists of passwords are tried
        # on the leaked, whose accounts that blocks for a while.
        self._reserved, self.crowd = enrolled[:part], enrolled[2 * part : 3 * part]
        self.leaked = enrolled[3 * part :]
        self._owners = itertools.cycle(enrolled[part : 2 * part])
        self._victims = itertools.cycle(self.crowd)
        self._admin: Client | None = None

    @property
    def attempts(self) -> int:
        return sum(score.attempts for score in self.scores)

    @property
    def successes(self) -> int:
        return sum(score.successes for score in self.scores)

    def next_victim(self) -> Person:
        """Return somebody whose password is stolen, and who was not attacked lately."""
        return next(self._victims)

    def next_owner(self) -> Person:
        """Return somebody who uses their own code in an attack's story.

        Nobody makes requests in their name: their code would release them.
        """
        return next(self._owners)

    def take_person(self) -> Person:
        """Return a person whom no other attack will use, since this one changes them."""
        person = self._reserved.pop()
        self.changed.add(person.email)
        return person

    def admin(self) -> Client:
        """Return the campaign's own admin, with an open window."""
        if self._admin is None or not self._admin.window_is_open():
            self._admin = self.verified("abel", "127.0.0.2")
        return self._admin

    def client(self, person: Person | str, address: str = "127.0.0.1") -> Client:
        person = self.people[person] if isinstance(person, str) else person
        return Client(self.portal, person, address)

    def signed_in(self, person: Person | str, address: str = "127.0.0.1") -> Client:
        client = self.client(person, address)
        if not client.sign_in():
            raise InvalidRun(f"{client.person.email} could not sign in")
        return client

    def verified(self, person: Person | str, address: str = "127.0.0.1") -> Client:
        """Return somebody signed in with an open window."""
        client = self.signed_in(person, address)
        if not wait_until(client.verify, timeout_s=100):
            raise InvalidRun(f"{client.person.email} could not be verified")
        return client


def addresses() -> Iterator[str]:
    """Return loopback addresses that are not the control users', for several threads at once."""
    return map(_address, itertools.count(1))


def _address(number: int) -> str:
    return f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}"


def run_robots(robot: Callable[[int], object], threads: int = THREADS) -> None:
    """Run a robot in several threads, each with its number. The first exception is raised."""
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(robot, number) for number in range(threads)]:
            future.result()


def run_at_once(calls: Iterable[Callable[[], Item]]) -> list[Item]:
    """Run all calls at the same moment, each in a thread of its own, and return their results."""
    calls = list(calls)
    barrier = threading.Barrier(len(calls))

    def start(call: Callable[[], Item]) -> Item:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(start, call) for call in calls]]


Run = Callable[[Campaign, Score, int], None]


@dataclass(frozen=True)
class Attack:
    """``share`` of the campaign's attempts is what `run` is asked for; it may need a few more.

    One that runs alone ends the control users' work before: it moves the clock far, while targets keep
    their own, or holds the portal up.
    """

    name: str
    share: float
    run: Run
    runs_alone: bool = False


ATTACKS: list[Attack] = []


def attack(name: str, share: float, *, runs_alone: bool = False) -> Callable[[Run], Run]:
    """Register a function as an attack."""

    def register(run: Run) -> Run:
        ATTACKS.append(Attack(name, share, run, runs_alone))
        return run

    return register
