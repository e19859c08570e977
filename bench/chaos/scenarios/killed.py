"""The worker is killed between every two steps of opening and of ending."""

import time

from bench.chaos import judge
from bench.chaos.judge import Watch
from bench.chaos.portal import Unexpected
from bench.chaos.stage import PATIENCE_S, SWEEP_S, Access, Stage
from bench.chaos.verdict import Verdict
from requests_app.models import AccessRequest, Status

NEVER = 1_000_000_000


def killed_while_opening(stage: Stage) -> Verdict:
    """A request of its own for every boundary. Afterwards each is open once, never for longer."""
    stage.ground.stop_workers()
    requests: list[AccessRequest] = []
    where: dict[str, int] = {}
    for part in ("begin", "activate"):
        boundaries = _count(stage, part, requests)
        for at in range(1, boundaries + 1):
            requests.append(stage.portal.ask("reader"))
            _kill(stage, part, at, where)
            stage.say(f"{part}: killed at {at} of {boundaries}")
    stage.need_workers(2)
    grants = stage.portal.wait_active(requests, PATIENCE_S)
    keys = stage.portal.reveal(grants)
    faults = _faults_of_opening(stage, {grant.login for grant in grants}, len(requests))
    refused = {key.role for key in keys} - judge.usable(stage.ground, keys)
    faults += [f"{role} was opened and does not sign in" for role in refused]
    sessions = [judge.sign_in(stage.ground, key) for key in keys]
    access = Access(grants, keys, sessions)
    with Watch(stage.ground, access.roles) as watch:
        stage.portal.end(grants)
        verdict = stage.verdict("killed while opening", access, watch, time.time())
    verdict.kills = sum(where.values())
    verdict.faults += faults
    verdict.note = f"killed in {len(where)} functions: {', '.join(sorted(where))}"
    return verdict


def _faults_of_opening(stage: Stage, known: set[str], asked: int) -> list[str]:
    standing = judge.standing(stage.ground)
    faults = [f"{role} exists without a grant" for role in standing.keys() - known]
    if len(known) != asked:
        faults.append(f"{asked} requests led to {len(known)} logins")
    return faults


def killed_while_ending(stage: Stage) -> Verdict:
    """An end of its own for every boundary, with nobody else working; then workers come back."""
    counts = dict.fromkeys(("contain", "clean"), 0)
    trial = stage.open(len(counts))
    stage.ground.stop_workers()
    for part, grant in zip(counts, trial.grants, strict=True):
        stage.portal.end([grant])
        counts[part] = _complete(stage, part)
    stage.need_workers(2)
    stage.portal.wait_ended(trial.grants, PATIENCE_S)
    trial.close()
    access = stage.open(sum(counts.values()))
    stage.ground.stop_workers()
    where: dict[str, int] = {}
    waiting = iter(access.grants)
    for part, boundaries in counts.items():
        for at in range(1, boundaries + 1):
            stage.portal.end([next(waiting)])
            _kill(stage, part, at, where)
            stage.say(f"{part}: killed at {at} of {boundaries}")
    with Watch(stage.ground, access.roles) as watch:
        healthy = [stage.saboteur.order("any", NEVER) for _ in range(2)]
        verdict = stage.verdict("killed while ending", access, watch, time.time())
    for number in healthy:
        stage.saboteur.stop(number)
    verdict.kills = sum(where.values())
    verdict.note = f"killed in {len(where)} functions: {', '.join(sorted(where))}"
    return verdict


def killed_while_others_work(stage: Stage) -> Verdict:
    """Ends come by time; two workers live, and beside them one after the other dies somewhere."""
    access = stage.open(stage.size, ends_at=stage.moment_for(stage.size))
    doomed = stage.saboteur.order("any", 3)
    boundary, kills = 3, 0
    with Watch(stage.ground, access.roles) as watch:
        while time.time() < access.ends_at + 8:
            if stage.saboteur.has_answered(doomed):
                kills += 1
                boundary = boundary * 5 % 97 or 7  # all over the place, and the same in every run
                stage.saboteur.answer(doomed)
                doomed = stage.saboteur.order("any", boundary)
            time.sleep(0.01)
        verdict = stage.verdict("killed beside others", access, watch, access.ends_at)
    stage.saboteur.stop(doomed)
    verdict.kills = kills
    return verdict


def expiry_killed(stage: Stage) -> Verdict:
    """The worker dies while it begins ends whose time has come; another comes."""
    access = stage.open(stage.size, ends_at=stage.moment_for(stage.size))
    stage.ground.stop_workers()
    time.sleep(max(access.ends_at - time.time(), 0))
    where: dict[str, int] = {}
    at = 1
    while AccessRequest.objects.filter(
        pk__in=[grant.request_id for grant in access.grants], status=Status.ACTIVE
    ).exists():
        _kill(stage, "expire", at, where)
        stage.say(f"expire: killed at {at}")
        at += 1
    with Watch(stage.ground, access.roles) as watch:
        healthy = stage.saboteur.order("any", NEVER)
        verdict = stage.verdict("killed while expiring", access, watch, time.time())
    stage.saboteur.stop(healthy)
    verdict.kills = sum(where.values())
    verdict.note = f"killed in {len(where)} functions: {', '.join(sorted(where))}"
    return verdict


def _count(stage: Stage, part: str, requests: list[AccessRequest]) -> int:
    """How many boundaries this part has when nothing disturbs it."""
    requests.append(stage.portal.ask("reader"))
    return _complete(stage, part)


def _complete(stage: Stage, part: str) -> int:
    number = stage.saboteur.order(part, NEVER)
    answer = stage.saboteur.answer(number)
    if answer is None:
        raise Unexpected(f"A worker did not come through {part}.")
    time.sleep(SWEEP_S / 2)  # it may finish what follows
    stage.saboteur.stop(number)
    return int(answer["boundaries"])


def _kill(stage: Stage, part: str, at: int, where: dict[str, int]) -> None:
    number = stage.saboteur.order(part, at)
    answer = stage.saboteur.answer(number)
    stage.saboteur.stop(number)
    if answer is not None and "killed_in" in answer:
        where[answer["killed_in"]] = where.get(answer["killed_in"], 0) + 1
