"""More and more web processes and workers over one PostgreSQL, killed and started again meanwhile.

People ask over HTTP all the time. In the end everything that was accepted has been opened once and
ended once, is on the record once and was told once: by the portal's rows, by the target's catalogs and by
the mail server.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.client import HTTPException
from typing import Any

import psycopg
from aiosmtpd.controller import Controller

from bench.speed.ground import HOST, PORTAL, Ground, Processes, Web, free_port
from bench.speed.parts.verify import NEW_REQUEST, Portal
from bench.speed.result import Row, bound
from bench.speed.target import BenchTarget, running_target
from bench.speed.turns import Deal, Unexpected, Visitor, say

SIZES = ((1, 1), (2, 2), (4, 4))  # servers of two web processes each, and workers
IN_EACH_S = 25.0
KILL_EVERY_S = 2.5
CLIENTS, PAUSE_S = 4, 0.8
PEOPLE = 40
PATIENCE_S = 240.0
DATABASE = "growth"
# What is on the record of access that ran until its end.
ONCE = ("request:submit", "request:grant", "grant:activate", "request:activate", "request:begin_revocation",
        "grant:contain", "grant:prove", "request:expire")  # fmt: skip
# Events that were told by one mail and no more.
ENDS_TOLD = """SELECT count(*) FROM (SELECT event_id FROM audit_delivery d JOIN audit_event e ON e.id = d.event_id
    WHERE e.event = 'request:expire' GROUP BY event_id HAVING count(*) = 1) once"""


@dataclass
class Sent:
    """Requests by their own words. Of one that got no answer nobody knows whether it was taken."""

    accepted: dict[str, int] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


@dataclass
class Mailbox:
    """A mail server's memory: which mails it was handed, by their message id."""

    handed: Counter[str] = field(default_factory=Counter)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.handed[str(message_from_bytes(envelope.content)["Message-ID"])] += 1
        return "250 OK"


@dataclass
class Crowd:
    """Everything that is killed and started."""

    ground: Ground
    environment: dict[str, str]
    webs: list[Web] = field(default_factory=list)
    workers: list[Processes] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)

    def grow(self, servers: int, workers: int) -> None:
        while len(self.webs) < servers:
            web = Web(self.ground.home / f"growth-web-{len(self.webs)}.log", self.environment)
            self.webs.append(web.start(PORTAL))
        while len(self.workers) < workers:
            log = self.ground.home / f"growth-worker-{len(self.workers)}.log"
            self.workers.append(Processes(log, self.environment))
            self.workers[-1].launch("manage.py", "worker")

    def kill_one(self) -> None:
        """A worker, one web process, or a whole server; what does not come back is started again."""
        kind = random.choice(("worker", "web process", "server"))
        self.killed[kind] += 1
        if kind == "worker":
            worker = random.choice(self.workers)
            _kill(worker, worker.pids)
            worker.launch("manage.py", "worker")
            return
        web = random.choice(self.webs)
        if kind == "web process":
            os.kill(random.choice(web.pids[1:] or web.pids), signal.SIGKILL)
        else:
            _kill(web, web.pids)
            web.start(PORTAL)

    def stop(self) -> None:
        for each in [*self.webs, *self.workers]:
            each.stop()


def _kill(processes: Processes, pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for process in processes.running:
        process.wait()
    processes.running.clear()


def measure(ground: Ground) -> list[Row]:
    ground.new_portal(DATABASE)
    wanted = {"groups": {"submit": PEOPLE, "verify": 1, "wrong": 1, "page": 1}, "open": []}
    filled = json.loads(ground.run(DATABASE, "-m", "bench.speed.fill", typed=json.dumps(wanted)))
    mailbox, port = Mailbox(), free_port()
    mail_server = Controller(mailbox, hostname=HOST, port=port)
    mail_server.start()
    environment = ground.environment(
        DATABASE, EMAIL_URL=f"smtp://{HOST}:{port}", WORKER_LEASE_S="5"
    )
    crowd = Crowd(ground, environment)
    try:
        with running_target(ground) as target, made(target) as logins:
            sent = _ask_and_kill(crowd, target, filled)
            if sent.refused:
                raise Unexpected(sent.refused[0])
            _wait_until_quiet(ground)
            return rows(ground, target, sent, logins, mailbox, crowd)
    finally:
        crowd.stop()
        mail_server.stop()
        ground.drop_database(DATABASE)


def _ask_and_kill(crowd: Crowd, target: BenchTarget, filled: dict[str, Any]) -> Sent:
    broker = target.broker
    told = {"host": broker.host, "port": broker.port, "broker": broker.user, "password": broker.password}  # fmt: skip
    offered = crowd.ground.run(
        DATABASE, "-m", "bench.speed.granted", "offer", typed=json.dumps(told)
    )
    sent = Sent()
    for servers, workers in SIZES:
        crowd.grow(servers, workers)
        with draft(crowd, filled["people"]["submit"], json.loads(offered)["target"], sent):
            until = time.monotonic() + IN_EACH_S
            while time.monotonic() < until:
                time.sleep(KILL_EVERY_S)
                crowd.kill_one()
        say(
            f"  {2 * servers} web processes, {workers} workers: {len(sent.accepted)} accepted, {sum(crowd.killed.values())} killed"
        )
    return sent


@contextmanager
def draft(crowd: Crowd, people: list[dict[str, Any]], target: int, sent: Sent) -> Iterator[None]:
    """Clients ask while the block runs, each time at some server."""
    deal, over, ports = Deal(people), threading.Event(), [web.port for web in crowd.webs]

    def run() -> None:
        while not over.wait(PAUSE_S):
            _ask_once(random.choice(ports), deal.next(), target, sent)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _ask_once(port: int, person: dict[str, Any], target: int, sent: Sent) -> None:
    words = f"Growth {random.getrandbits(60):x}"
    fields = {"target": target, "duration": "1m", "justification": words}
    visitor = Visitor(port)
    try:
        answer = visitor.post(NEW_REQUEST, Portal.cookies(person), fields)
    except (OSError, HTTPException):
        sent.unanswered.add(words)
        return
    finally:
        visitor.close()
    if answer.status == 302 and "/requests/AR-" in answer.location:
        sent.accepted[words] = int(answer.location.rpartition("AR-")[2].strip("/"))
    else:
        sent.refused.append(f"a request: {answer.status} {answer.body[:300]!r}")


@contextmanager
def made(target: BenchTarget) -> Iterator[dict[str, set[int]]]:
    """The roles that each login was seen as on the target, while the block runs."""
    seen: dict[str, set[int]] = {}
    over = threading.Event()

    def look() -> None:
        asked = "SELECT rolname, oid::bigint FROM pg_roles WHERE rolname ~ '^jit_[a-z2-7]{26}$'"
        with psycopg.connect(**target.conninfo(), autocommit=True) as connection:
            while not over.wait(0.1):
                for name, oid in connection.execute(asked).fetchall():
                    seen.setdefault(name, set()).add(oid)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _wait_until_quiet(ground: Ground) -> None:
    """Until everything has ended, is sealed and told."""
    left = """SELECT (SELECT count(*) FROM requests_app_accessrequest WHERE ended_at IS NULL)
        + (SELECT count(*) FROM requests_app_grant WHERE state <> 'removed')
        + (SELECT count(*) FROM audit_delivery WHERE state = 'waiting')
        + (SELECT count(*) FROM audit_event e WHERE NOT EXISTS
            (SELECT FROM audit_chainentry s WHERE s.event_id = e.id))
        + (SELECT max(position) FROM audit_chainentry)
        - coalesce((SELECT position FROM notices_readmark), 0)"""
    give_up_at, told_at = time.monotonic() + PATIENCE_S, 0.0
    with ground.connect(DATABASE) as connection:
        while number := connection.execute(left).fetchall()[0][0]:
            if time.monotonic() > give_up_at:
                return  # what is left counts as lost
            if time.monotonic() - told_at > 10:
                told_at = time.monotonic()
                say(f"  {number} things are left to do")
            time.sleep(0.5)


def rows(
    ground: Ground,
    target: BenchTarget,
    sent: Sent,
    logins: dict[str, set[int]],
    mailbox: Mailbox,
    crowd: Crowd,
) -> list[Row]:
    with ground.connect(DATABASE) as connection:
        found = _what_became(connection)
        # What waited until it was of no more use is withdrawn: that access ends soon, when it has ended.
        mails = connection.execute("SELECT count(*) FROM audit_delivery WHERE state <> 'withdrawn'").fetchall()[0][0]  # fmt: skip
        ends = connection.execute(ENDS_TOLD).fetchall()[0][0]
    known = {words: pk for words, pk, *_ in found}
    lost = sum(known.get(words) != pk for words, pk in sent.accepted.items())
    lost += sum(grants < 1 or fewest < 1 for _, _, grants, fewest, _ in found)
    double = len(found) - len(known)
    double += sum(grants > 1 or most > 1 for _, _, grants, _, most in found)
    double += sum(len(oids) > 1 for oids in logins.values())
    unknown = known.keys() - sent.accepted.keys() - sent.unanswered
    return [
        Row("growth: killed and started again", sum(crowd.killed.values()), "processes"),
        Row("growth: requests accepted", len(sent.accepted), "requests"),
        Row("growth: requests that got no answer", len(sent.unanswered), "requests"),
        bound("growth: lost", lost, "requests", "<= 0"),
        bound("growth: done twice", double + len(unknown), "requests", "<= 0"),
        bound("growth: logins on the target beside requests", abs(len(logins) - len(found)), "logins", "<= 0"),
        bound("growth: logins left on the target", target.count_logins(), "logins", "<= 0"),
        Row("growth: mails", mails, "mails"),
        bound("growth: ends that were not told once", abs(ends - len(found)), "mails", "<= 0"),
        bound("growth: mails not handed over", mails - len(mailbox.handed), "mails", "<= 0"),
        Row("growth: mails handed over again after a kill", sum(mailbox.handed.values()) - len(mailbox.handed), "mails"),
    ]  # fmt: skip


def _what_became(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Of each request: its words, number, grants, and how often its events are there at least and at most."""
    return connection.execute(
        """SELECT r.justification, r.id,
            (SELECT count(*) FROM requests_app_grant g WHERE g.request_id = r.id),
            min(n), max(n)
        FROM requests_app_accessrequest r CROSS JOIN unnest(%s::text[]) name,
            LATERAL (SELECT count(*) AS n FROM audit_event e
                WHERE e.request_id = r.id AND e.event = name) told
        GROUP BY r.id ORDER BY r.id""",
        [list(ONCE)],
    ).fetchall()
