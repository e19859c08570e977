"""The chapter on one version of PostgreSQL: batches of grants, their end, and the judge."""

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from accessflows.requesters import named
from apono_portal.users.models import Role, User
from bench.attack.grantee import slots, target
from bench.attack.grantee.attempts import Attempt
from bench.attack.grantee.tactics import TACTICS, Tactic
from bench.chaos.environment import Environment
from bench.chaos.judge import Watch
from bench.chaos.portal import MAX_DURATION, Portal
from bench.environment import InvalidRun, wait_until
from bench.portal_data import add_flow, add_integration
from requests_app.models import Grant, GrantState

USABLE_S = 2.0
ACTIVE_TIMEOUT_S = 300
THREADS = 8
FIRST_BATCH_S = 90.0
ENDS = ("revoked", "expired")
LOGIN_NAME = re.compile("jit_[a-z2-7]{26}")
Answer = TypeVar("Answer")


class GranteePortal(Portal):
    """One admin, one requester and a flow for each capability."""

    def __init__(self, environment: Environment) -> None:
        self.admin = User.objects.create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
        self.requester = User.objects.create_user(email="max@example.org", name="Max")
        address = target.integration_address(environment)
        integration = add_integration(self.admin, name="target", **address)
        self.flows = {
            permission: add_flow(
                self.admin, integration, name=permission, resource=target.ORDERS, permission=permission,
                max_duration=MAX_DURATION, requesters=named(users=[self.requester.pk]),
            )
            for permission in target.PERMISSIONS
        }  # fmt: skip


@dataclass
class Result:
    """What one tactic achieved, for each end: nothing, unless it says what."""

    tactic: str
    end: str
    contained_s: float | None = None
    successes: list[str] = field(default_factory=list)
    problem: str = ""  # why the tactic was not what it claims to be


@dataclass
class Chapter:
    environment: Environment
    portal: GranteePortal
    say: Callable[[str], None]
    removed_timeout_s: float = 240
    activation_s: float = FIRST_BATCH_S  # what the last batch took until its tactics were done

    def run(self, only: Sequence[str] = ("",), ends: Sequence[str] = ENDS) -> list[Result]:
        """Attempt tactics by parts of their names; those that take every connection by themselves."""
        own = [one for one in TACTICS if self._is_chosen(one, only)]
        batches = [(own, end) for end in ends if own]
        batches += [
            ([one], end) for end in ends for one in slots.TACTICS if self._is_chosen(one, only)
        ]
        results = []
        for tactics, end in batches:
            started = time.monotonic()
            batch = self._run_batch(tactics, end)
            number = sum(bool(result.successes) for result in batch)
            seconds = time.monotonic() - started
            self.say(f"{len(batch)} tactics, {end}: {number} successes, {seconds:.0f} s")
            for result in batch:
                for detail in filter(None, [*result.successes, result.problem]):
                    self.say(f"{result.tactic}: {detail}")
            results += batch
        return results

    def _is_chosen(self, tactic: Tactic, only: Sequence[str]) -> bool:
        is_named = any(part in tactic.name for part in only)
        return is_named and self.environment.version in tactic.versions

    def _run_batch(self, tactics: Sequence[Tactic], end: str) -> list[Result]:
        target.prepare(self.environment)
        tags = [f"t{number:02}{end[0]}" for number, _ in enumerate(tactics)]
        target.create_accomplices(self.environment, [f"{tag}_accomplice" for tag in tags])
        before = target.read_records(self.environment)
        started = time.monotonic()
        ends_at = time.time() + 2.5 * self.activation_s + 15 if end == "expired" else None
        attempts = self._activate(tags, tactics, ends_at)
        watch = Watch(self.environment, [attempt.credential.role for attempt in attempts])
        try:
            with watch:  # from before the tactics on, which may leave no connection for a judge
                problems = _in_parallel(Attempt.begin, attempts)
                self.activation_s = time.monotonic() - started
                if ends_at is not None and time.time() > ends_at - 1:
                    raise InvalidRun("The machine is too slow: some expired before their tactic.")
                results = self._judge(attempts, end, ends_at, watch)
            for attempt, problem in zip(attempts, problems, strict=True):
                results[attempt.tag].problem = problem
            self._judge_rights(attempts, results)
        finally:
            _in_parallel(Attempt.stop, attempts)
        self._judge_leftovers(attempts, results, before)
        target.drop_accomplices(self.environment, [attempt.accomplice for attempt in attempts])
        return list(results.values())

    def _activate(
        self, tags: Sequence[str], tactics: Sequence[Tactic], ends_at: float | None
    ) -> list[Attempt]:
        requests = [self.portal.submit(tactic.capability, ends_at=ends_at) for tactic in tactics]
        grants = {
            grant.request_id: grant for grant in self.portal.wait_active(requests, ACTIVE_TIMEOUT_S)
        }
        ordered = [grants[request.pk] for request in requests]
        rows = zip(tags, tactics, ordered, self.portal.reveal(ordered), strict=True)
        server, version = self.environment.target_server, self.environment.version
        return [Attempt(*row, server, version) for row in rows]

    def _judge(
        self, attempts: Sequence[Attempt], end: str, ends_at: float | None, watch: Watch
    ) -> dict[str, Result]:
        """End everything, and see what can be used two seconds later."""
        results = {attempt.tag: Result(attempt.tactic.name, end) for attempt in attempts}
        ends = self._end(attempts, ends_at)
        time.sleep(max(max(ends.values()) + USABLE_S - time.time(), 0))
        _in_parallel(lambda one: results[one.tag].successes.extend(one.usable()), attempts)
        for attempt in attempts:
            attempt.close_sockets()
        name = f"customer-{time.time_ns()}"
        target.insert_row(self.environment, name)
        _in_parallel(lambda one: self._read(one, name, results[one.tag]), attempts)
        for attempt in attempts:
            role, result = attempt.credential.role, results[attempt.tag]
            if watch.last_usable_at.get(role, 0) > ends[role] + USABLE_S:
                result.successes.append("usable two seconds past its end, by the catalogs")
            if contained_at := watch.contained_at.get(role):
                result.contained_s = max(contained_at - ends[role], 0)
            else:
                result.successes.append("not contained")
        return results

    def _end(self, attempts: Sequence[Attempt], ends_at: float | None) -> dict[str, float]:
        """Return the moment of each end, by login."""
        ends = {}
        for attempt in attempts:
            if ends_at is None:
                self.portal.end([attempt.grant])
            ends[attempt.credential.role] = time.time()
        if ends_at is not None:  # the deadline of each is a moment after the common end
            ends = {one.credential.role: one.grant.deadline.timestamp() for one in attempts}
            time.sleep(max(max(ends.values()) - time.time(), 0))
        return ends

    @staticmethod
    def _read(attempt: Attempt, name: str, result: Result) -> None:
        if name in attempt.read() and not attempt.tactic.copies:
            result.successes.append("new data was read by an accomplice")

    def _wait_removed(self, attempts: Iterable[Attempt]) -> None:
        pks = [attempt.grant.pk for attempt in attempts]
        remaining = Grant.objects.filter(pk__in=pks).exclude(state=GrantState.REMOVED)
        wait_until(lambda: not remaining.exists(), timeout_s=self.removed_timeout_s)

    def _judge_rights(self, attempts: Sequence[Attempt], results: dict[str, Result]) -> None:
        """Wait for the proofs, except where an accomplice delays them, then read through what is left."""
        self._wait_removed(one for one in attempts if not (one.tactic.stays or one.tactic.delays))
        name = f"customer-{time.time_ns()}"
        target.insert_row(self.environment, name)
        for attempt, rows in zip(attempts, _in_parallel(_rows_read, attempts), strict=True):
            is_own_table = "public." in attempt.tactic.reads  # which has what was copied before
            if name in rows or (rows and not is_own_table):
                results[attempt.tag].successes.append(
                    f"{len(rows)} rows were read after the clean-up"
                )

    def _judge_leftovers(
        self, attempts: Sequence[Attempt], results: dict[str, Result], before: set[str]
    ) -> None:
        """Charge each tactic with what it left and no record of its grant names.

        What was made as the capability role, which grants share, is named by the one that ended first.
        """
        self._wait_removed(one for one in attempts if not one.tactic.stays)
        added = target.read_records(self.environment) - before
        charged: set[str] = set()
        texts = []
        for attempt in attempts:
            grant = Grant.objects.get(pk=attempt.grant.pk)
            result = results[attempt.tag]
            if not attempt.tactic.stays and grant.state != GrantState.REMOVED:
                result.successes.append(f"not removed: {grant.state} {grant.last_error}")
            if attempt.tactic.stays and attempt.credential.role not in grant.last_error:
                result.successes.append("a superuser has to clean up, and is not told")
            texts.append(
                json.dumps(
                    [grant.owned_objects, grant.permission_changes, grant.proof, grant.last_error]
                )
            )
        for attempt, own in zip(attempts, texts, strict=True):
            mine = {record for record in added if _is_of(record, attempt)}
            named = " ".join(texts) if attempt.tactic.refused else own
            left = [f"left: {one}" for one in mine if not _is_named(one, named)]
            results[attempt.tag].successes += left
            charged |= mine
        for record in sorted(added - charged):
            if not _is_named(record, " ".join(texts)):
                results[attempts[0].tag].successes.append(f"left by one of all: {record}")


def _rows_read(attempt: Attempt) -> list[str]:
    return list(attempt.read())


def _is_of(record: str, attempt: Attempt) -> bool:
    return attempt.tag in record or attempt.credential.role in record


def _is_named(record: str, named: str) -> bool:
    """Whether what a grant's record says covers a record of the catalogs.

    What the graveyard owns is named, and so are policies on it. What stays until a superuser cleans up
    names the login. An accomplice's own objects are the accomplice's.
    """
    if record.endswith("_accomplice") and " is owned by " in record:
        return True
    thing, _, owner = record.partition(" is owned by ")
    if owner == "jit_graveyard":
        return json.dumps(thing).strip('"') in named or (
            thing.startswith("large object ") and "and more than " in named
        )
    policy, _, table = record.partition(" has a right or policy of ")[0].partition(" on ")
    login = LOGIN_NAME.search(record)
    return bool((policy.startswith("policy ") and table in named) or (login and login[0] in named))


def _in_parallel(
    function: Callable[[Attempt], Answer], attempts: Iterable[Attempt]
) -> list[Answer]:
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, attempts))
