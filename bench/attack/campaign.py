"""What every attack works with: the portal, its people, and ways to do things many times at once."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bench.attack.judge import Judge
from bench.attack.people import Person
from bench.attack.portal import Portal
from bench.attack.tally import Controls, Patience, Score
from bench.attack.visitor import Visitor

THREADS = 12  # enough to keep two processes busy
RACERS = 32
CAST = ("ada", "abel", "arthur", "pia", "paul", "olga", "otto", "oona")

Item = TypeVar("Item")


@dataclass
class Campaign:
    """One portal under attack.

    ``crowd`` are people whose password is stolen and who are not there themselves, ``newcomers`` those
    who have not set up MFA, ``spent`` the addresses of people whom an attack's story has changed.
    """

    portal: Portal
    people: dict[str, Person] = field(default_factory=dict)
    crowd: list[Person] = field(default_factory=list)
    newcomers: list[Person] = field(default_factory=list)
    spent: set[str] = field(default_factory=set)
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    controls: Controls = field(default_factory=Controls)
    patience: Patience = field(default_factory=Patience)
    say: Callable[[str], None] = print
    _spendable: list[Person] = field(default_factory=list)
    _admin: Visitor | None = None
    _next_owner: Iterator[Person] = field(default_factory=lambda: iter(()))
    _next_of_crowd: Iterator[Person] = field(default_factory=lambda: iter(()))

    def __post_init__(self) -> None:
        self.judge = Judge(self.portal.servers.target)
        rows: list[dict[str, Any]] = self.portal.people["people"]
        self.people = {row["name"]: Person(**row) for row in rows}
        others = [person for name, person in self.people.items() if name not in CAST]
        self.newcomers = [person for person in others if not person.secret]
        enrolled = [person for person in others if person.secret]
        part = len(enrolled) // 4
        self._spendable, owners = enrolled[:part], enrolled[part : 2 * part]
        self.crowd = enrolled[2 * part :]
        self._next_owner = itertools.cycle(owners)
        self._next_of_crowd = itertools.cycle(self.crowd)

    @property
    def flows(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = self.portal.people["flows"]
        return found

    @property
    def judges_often(self) -> bool:
        """Whether there are so few accounts that all pages can be read after each attack."""
        return len(self.people) < 200

    def robbed(self) -> Person:
        """Return somebody whose password is stolen, and who has not been tried lately."""
        return next(self._next_of_crowd)

    def owner(self) -> Person:
        """Return somebody who uses their own code in an attack's story.

        Nobody parks requests in their name: their code would release them.
        """
        return next(self._next_owner)

    def spend(self) -> Person:
        """Return a person whom no other attack will use: this one changes who they are."""
        person = self._spendable.pop()
        self.spent.add(person.email)
        return person

    def admin(self) -> Visitor:
        """Return the campaign's own admin, with an open window."""
        if self._admin is None or not self._admin.window_is_open():
            self._admin = self.signed_in("abel", "127.0.0.2")
            if not until(self._admin.verify, patience_s=100):
                raise Unexpected("The campaign's admin could not be verified")
        return self._admin

    def verified(self, person: Person | str, address: str = "127.0.0.1") -> Visitor:
        """Return somebody signed in with an open window."""
        visitor = self.signed_in(person, address)
        if not until(visitor.verify, patience_s=100):
            raise Unexpected(f"{visitor.person.email} could not be verified")
        return visitor

    def as_(self, person: Person | str, address: str = "127.0.0.1") -> Visitor:
        found = self.people[person] if isinstance(person, str) else person
        return Visitor(self.portal, found, address)

    def signed_in(self, person: Person | str, address: str = "127.0.0.1") -> Visitor:
        visitor = self.as_(person, address)
        if not visitor.sign_in():
            raise Unexpected(f"{visitor.person.email} could not sign in")
        return visitor


class Unexpected(Exception):
    """Something a campaign relies on did not work; its figures would mean nothing."""


def addresses() -> Iterator[str]:
    """Loopback addresses that are not the owners', one after the other."""
    for number in itertools.count(1):
        yield f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}"


def many(jobs: Iterable[Callable[[], object]], threads: int = THREADS) -> None:
    """Run jobs in a pool of threads; the first exception ends it."""
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


def at_once(calls: list[Callable[[], Item]]) -> list[Item]:
    """Run all calls at the same moment, each in a thread of its own, and return their results."""
    line = threading.Barrier(len(calls))

    def start(call: Callable[[], Item]) -> Item:
        line.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(start, call) for call in calls]]


def until(condition: Callable[[], bool], *, patience_s: float) -> bool:
    """Ask again and again until the condition holds; say whether it did in time."""
    give_up_at = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.1)
    return True


@dataclass(frozen=True)
class Attack:
    """``share`` of the campaign's attempts is what `run` is asked for; it may need a few more.

    One that moves the clock far ends the owners' work before: targets keep a clock of their own.
    """

    name: str
    share: float
    run: Callable[[Campaign, Score, int], None]
    moves_clock: bool = False


ATTACKS: list[Attack] = []


def attack(
    name: str, share: float = 0.0, *, moves_clock: bool = False
) -> Callable[..., Callable[[Campaign, Score, int], None]]:
    """Register a function as an attack."""

    def register(run: Callable[[Campaign, Score, int], None]) -> Callable[..., None]:
        ATTACKS.append(Attack(name, share, run, moves_clock))
        return run

    return register
