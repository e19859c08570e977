"""A right code, a wrong code, the step-up page and a submitted request, beside a bare Django."""

import json
from typing import Any

from bench.speed.codes import FreshCodes, wrong_code
from bench.speed.ground import FLOOR, PORTAL, Ground, Web
from bench.speed.result import Row
from bench.speed.turns import CSRF_SECRET, Deal, System, Unexpected, Visitor, say, take_turns

PEOPLE = 700  # of each kind: nobody is asked for more than three codes in a run
STEP_UP, NEW_REQUEST = "/account/step-up/", "/requests/new/"


class Floor:
    """Acting as people of the floor."""

    def __init__(self, people: list[dict[str, Any]]) -> None:
        self._people = Deal(people)
        self._codes = FreshCodes(people)

    @staticmethod
    def cookies(person: dict[str, Any]) -> dict[str, str]:
        return {"sessionid": person["session"], "csrftoken": CSRF_SECRET}

    def post(self, visitor: Visitor) -> None:
        answer = visitor.post("/note/", self.cookies(self._people.next()), {"text": "A few words"})
        expect(answer.status == 302 and answer.location == "/note/", "the floor's form", answer)

    def page(self, visitor: Visitor) -> None:
        answer = visitor.get("/note/", self.cookies(self._people.next()))
        expect(answer.status == 200 and b"<form" in answer.body, "the floor's page", answer)

    def rows(self, visitor: Visitor) -> None:
        answer = visitor.get("/rows/", self.cookies(self._people.next()))
        expect(answer.body.count(b"<tr>") == 25, "the floor's rows", answer)

    def raw(self, visitor: Visitor) -> None:
        person, code = self._codes.next()
        fields = {"device": person["device"], "token": code}
        answer = visitor.post("/raw/", self.cookies(person), fields)
        expect(answer.status == 302, "a raw verification", answer)


class Portal:
    """Acting as people of the portal."""

    def __init__(self, filled: dict[str, Any]) -> None:
        people, self._flow = filled["people"], filled["flow"]
        self._codes = FreshCodes(people["verify"])
        self._wrong = Deal(people["wrong"])
        self._page = Deal(people["page"])
        self._submit = Deal(people["submit"])

    @staticmethod
    def cookies(person: dict[str, Any]) -> dict[str, str]:
        name, value = person["known"]
        return {"session": person["session"], "csrf": CSRF_SECRET, name: value}

    def verify(self, visitor: Visitor) -> None:
        person, code = self._codes.next()
        answer = visitor.post(STEP_UP, self.cookies(person), {"code": code})
        expect(answer.status == 302 and answer.location == "/", "a right code", answer)
        person["session"] = answer.cookie("session") or person["session"]

    def wrong(self, visitor: Visitor) -> None:
        person = self._wrong.next()
        answer = visitor.post(STEP_UP, self.cookies(person), {"code": wrong_code(person)})
        expect(answer.status == 422, "a wrong code", answer)

    def page(self, visitor: Visitor) -> None:
        answer = visitor.get(STEP_UP, self.cookies(self._page.next()))
        expect(answer.status == 200 and b"Six-digit code" in answer.body, "the page", answer)

    def submit(self, visitor: Visitor) -> None:
        fields = {
            "target": self._flow["target"],
            "duration": "1h",
            "justification": "Look into the failed import, OPS-1.",
        }
        answer = visitor.post(NEW_REQUEST, self.cookies(self._submit.next()), fields)
        expect(answer.status == 302 and "/requests/AR-" in answer.location, "a request", answer)


def expect(true: bool, what: str, answer: Any) -> None:  # noqa: FBT001
    if not true:
        raise Unexpected(f"{what}: {answer.status} {answer.location} {answer.body[:300]!r}")


def measure(ground: Ground) -> list[Row]:
    say("  Making a floor and a portal with people who are signed in")
    floor = Floor(ground.new_floor("floor", PEOPLE))
    ground.new_portal("portal")
    wanted = {
        "groups": {"verify": PEOPLE, "wrong": PEOPLE, "page": 50, "submit": 50},
        "open": ["submit"],
    }
    filled = ground.run("portal", "-m", "bench.speed.fill", typed=json.dumps(wanted))
    portal = Portal(json.loads(filled))
    for database in ("floor", "portal"):
        ground.settle(database)
    bare = Web(ground.home / "floor.log", ground.environment("floor"))
    ours = Web(ground.home / "portal.log", ground.environment("portal"))
    try:
        bare.start(FLOOR)
        ours.start(PORTAL)
        systems = [
            System("floor: form post", bare, floor.post),
            System("floor: page", bare, floor.page),
            System("raw: verify_token", bare, floor.raw),
            System("verify: right code", ours, portal.verify),
            System("verify: wrong code", ours, portal.wrong),
            System("verify: step-up page", ours, portal.page),
            System("submit: protected request", ours, portal.submit),
        ]
        take_turns(ground, systems)
    finally:
        ours.stop()
        bare.stop()
        for database in ("floor", "portal"):
            ground.drop_database(database)
    return rows(systems)


def rows(systems: list[System]) -> list[Row]:
    form, page, raw, right, wrong, step_up, submit = systems
    made = [
        cost(form, "CPU", form),
        cost(page, "CPU", form),
        cost(raw, "CPU", form),
        cost(right, "CPU beside the floor's post", form, "<= 2.6"),
        cost(right, "CPU beside raw", raw, "<= 1.2"),
        cost(wrong, "CPU beside the floor's post", form, "<= 2.2"),
        cost(step_up, "CPU beside the floor's page", page, "<= 1.5"),
        cost(submit, "CPU beside the floor's post", form, "<= 2.2"),
    ]
    for system in systems:
        made += walls(system)
    return made


def cost(system: System, what: str, beside: System, target: str | None = None) -> Row:
    ratio = round(system.cost_beside(beside), 2)
    return Row(f"{system.name}, {what}", round(system.cost(), 3), "ms", ratio, target)


def walls(system: System) -> list[Row]:
    """What stands beside the CPU: how long it takes, how many a second, and the database's share."""
    return [
        Row(f"{system.name}, p50", round(system.p50(), 2), "ms"),
        Row(f"{system.name}, p95", round(system.p95(), 2), "ms"),
        Row(f"{system.name}, rate", round(sorted(system.rates)[len(system.rates) // 2], 1), "a second"),
        Row(f"{system.name}, database CPU", round(sorted(system.database_ms)[len(system.database_ms) // 2], 2), "ms"),
    ]  # fmt: skip
