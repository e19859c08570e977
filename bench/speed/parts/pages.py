"""Pages at three sizes of one database that grows in place, beside the floor's page.

Each size is filled, settled and measured before the next: how long the pages take, what they cost, how
many statements they make. At the largest the plan of every statement is read.
"""

import json
import os
import time
from dataclasses import dataclass
from typing import Any

from bench.speed.ground import FLOOR, PORTAL, Ground, Web
from bench.speed.grown.filling import grow, prepare
from bench.speed.grown.sizes import Growth, growths
from bench.speed.parts.verify import Floor, Portal, expect
from bench.speed.plans import MOST_QUESTIONS, PAGES
from bench.speed.result import Row, bound
from bench.speed.turns import Deal, Operation, System, Visitor, say, take_turns

SIZES = [int(each) for each in os.environ.get("BENCH_PEOPLE", "1000,100000,1000000").split(",")]
WINDOWS, OPERATIONS = 7, 40
PEOPLE = {"page": 30, "admins": 8, "verify": 1, "wrong": 1, "submit": 1}
OF_EVERYBODY = ("my access", "my requests", "new request")  # the others are for admins


@dataclass
class Measured:
    """What one page takes at one size."""

    p50: float
    times: float  # the floor's page, window by window
    cost: float
    statements: int
    scans: dict[str, str]


def measure(ground: Ground) -> list[Row]:
    floor = Floor(ground.new_floor("floor", 50))
    ground.new_portal("grown")
    bare = Web(ground.home / "floor.log", ground.environment("floor"))
    try:
        bare.start(FLOOR)
        people = _people(ground)
        prepare(lambda: ground.connect("grown"))
        found = [_at_size(ground, step, people, bare, floor) for step in growths(SIZES)]
    finally:
        bare.stop()
        for database in ("floor", "grown"):
            ground.drop_database(database)
    return rows(found)


def _people(ground: Ground) -> dict[str, Any]:
    wanted = {"groups": PEOPLE, "open": ["admins", "page"]}
    filled = json.loads(ground.run("grown", "-m", "bench.speed.fill", typed=json.dumps(wanted)))
    found: dict[str, Any] = filled["people"]
    return found


def _at_size(
    ground: Ground, step: Growth, people: dict[str, Any], bare: Web, floor: Floor
) -> dict[str, Measured]:
    began = time.monotonic()
    grow(lambda: ground.connect("grown"), step, say)
    ground.settle("grown")
    size = f"{step.after.people:,} people, {step.after.events:,} events"
    say(f"  {size}: filled in {time.monotonic() - began:.0f} s")
    asked = _asked(ground, people)
    ours = Web(ground.home / "grown.log", ground.environment("grown"))
    try:
        ours.start(PORTAL)
        systems = [System("floor", bare, floor.page, OPERATIONS)]
        systems += [
            System(name, ours, _look_at(address, people[_who(name)]), OPERATIONS)
            for name, address in PAGES.items()
        ]
        # One at a time: of two, it is chance whether they meet in one process and wait for each other.
        take_turns(ground, systems, windows=WINDOWS, clients=1)
    finally:
        ours.stop()
    return {
        each.name: Measured(
            each.p50(), each.p50_beside(systems[0]), each.cost(), **asked.get(each.name, NOTHING)
        )
        for each in systems
    }


NOTHING: dict[str, Any] = {"statements": 0, "scans": {}}


def _who(page: str) -> str:
    return "page" if page in OF_EVERYBODY else "admins"


def _look_at(address: str, people: list[dict[str, Any]]) -> Operation:
    deal = Deal(people)

    def look(visitor: Visitor) -> None:
        answer = visitor.get(address, Portal.cookies(deal.next()))
        expect(answer.status == 200 and b"<h1" in answer.body, address, answer)

    return look


def _asked(ground: Ground, people: dict[str, Any]) -> dict[str, Any]:
    """What the pages ask, by name, and the tables they read whole."""
    found: dict[str, Any] = {}
    for who in ("page", "admins"):
        pages = {name: address for name, address in PAGES.items() if _who(name) == who}
        told = {"session": people[who][0]["session"], "pages": pages}
        found |= json.loads(ground.run("grown", "-m", "bench.speed.asked", typed=json.dumps(told)))
    return found


def rows(found: list[dict[str, Measured]]) -> list[Row]:
    """A page's figures at each size, bound at the ends."""
    made = [
        Row(f"pages: the floor's page at {people:,}, p50", round(at["floor"].p50, 2), "ms")
        for people, at in zip(SIZES, found, strict=True)
    ]
    for page in PAGES:
        sizes = [at[page] for at in found]
        made += _times(page, sizes)
        most = max(each.statements for each in sizes)
        made.append(bound(f"{page}: statements", most, "a page", f"<= {MOST_QUESTIONS}"))
        grown = most - min(each.statements for each in sizes)
        made.append(
            bound(f"{page}: more statements at one size than at another", grown, "", "<= 0")
        )
        scans = len(sizes[-1].scans)
        made.append(bound(f"{page}: growing tables read whole", scans, "tables", "<= 0"))
    return made


def _times(page: str, sizes: list[Measured]) -> list[Row]:
    """The sizes are measured minutes apart, so they are compared as multiples of the floor's page, which
    is the same at each."""
    made = []
    for people, each in zip(SIZES, sizes, strict=True):
        ratio, target = None, None
        if people == SIZES[0]:
            ratio, target = round(each.times, 2), "<= 3"
        elif people == SIZES[-1]:
            ratio, target = round(each.times / sizes[0].times, 2), "<= 1.5"
        made.append(Row(f"{page} at {people:,}, p50", round(each.p50, 2), "ms", ratio, target))
        made.append(Row(f"{page} at {people:,}, CPU", round(each.cost, 2), "ms"))
    return made
