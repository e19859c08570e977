"""The worker is killed between every two steps of activating and of ending."""

import time

from bench.chaos import judge
from bench.chaos.judge import Watch
from bench.chaos.scenario import SWEEP_S, TIMEOUT_S, ActiveAccess, ScenarioContext, sleep_until
from bench.chaos.verdict import Verdict
from bench.environment import InvalidRun
from requests_app.models import AccessRequest, Status

NEVER = 1_000_000_000


def killed_while_activating(context: ScenarioContext) -> Verdict:
    """Use a request for every boundary. Afterwards each is active once, never for longer."""
    context.environment.workers.stop()
    requests: list[AccessRequest] = []
    kills: dict[str, int] = {}
    for stage in ("begin", "activate"):
        requests.append(context.portal.submit("reader"))
        boundaries = count_boundaries(context, stage)
        for at in range(1, boundaries + 1):
            requests.append(context.portal.submit("reader"))
            _kill(context, stage, at, kills)
            context.say(f"{stage}: killed at {at} of {boundaries}")
    context.environment.ensure_workers(2)
    grants = context.portal.wait_active(requests, TIMEOUT_S)
    credentials = context.portal.reveal(grants)
    logins = {grant.login for grant in grants}
    extra = judge.list_roles(context.environment) - logins
    unusable = logins - judge.usable_roles(context.environment, credentials)
    faults = [f"{role} exists without a grant" for role in extra]
    faults += [f"{role} is active and refused" for role in unusable]
    if len(logins) != len(requests):
        faults.append(f"{len(requests)} requests led to {len(logins)} logins")
    sessions = [judge.sign_in(context.environment, item) for item in credentials]
    access = ActiveAccess(grants, credentials, sessions)
    with Watch(context.environment, access.roles) as watch:
        context.portal.end(grants)
        verdict = context.verdict("killed while activating", access, watch, time.time())
    verdict.faults += faults
    return _with_kills(verdict, kills)


def killed_while_ending(context: ScenarioContext) -> Verdict:
    """Use an end for every boundary while nobody else works; then workers come back."""
    counts = dict.fromkeys(("contain", "clean"), 0)
    trial = context.activate(len(counts))
    context.environment.workers.stop()
    for stage, grant in zip(counts, trial.grants, strict=True):
        context.portal.end([grant])
        counts[stage] = count_boundaries(context, stage)
    context.environment.ensure_workers(2)
    context.portal.wait_ended(trial.grants, TIMEOUT_S)
    context.close(trial)
    access = context.activate(sum(counts.values()))
    context.environment.workers.stop()
    kills: dict[str, int] = {}
    grants = iter(access.grants)
    for stage, boundaries in counts.items():
        for at in range(1, boundaries + 1):
            context.portal.end([next(grants)])
            _kill(context, stage, at, kills)
            context.say(f"{stage}: killed at {at} of {boundaries}")
    return _with_kills(_finish(context, "killed while ending", access, workers=2), kills)


def killed_while_expiring(context: ScenarioContext) -> Verdict:
    """Kill the worker while it begins the ends that are due; another one finishes."""
    access = context.activate(context.size, ends_at=context.time_for(context.size))
    context.environment.workers.stop()
    sleep_until(access.ends_at)
    pks = [grant.request_id for grant in access.grants]
    kills: dict[str, int] = {}
    at = 0
    while AccessRequest.objects.filter(pk__in=pks, status=Status.ACTIVE).exists():
        at += 1
        _kill(context, "expire", at, kills)
        context.say(f"expire: killed at {at}")
    return _with_kills(_finish(context, "killed while expiring", access, workers=1), kills)


def killed_beside_others(context: ScenarioContext) -> Verdict:
    """Two workers live while access expires; beside them one after the other dies somewhere."""
    access = context.activate(context.size, ends_at=context.time_for(context.size))
    doomed = context.faults.order("any", 3)
    boundary, kills = 3, 0
    with Watch(context.environment, access.roles) as watch:
        while time.time() < access.ends_at + 8:
            if context.faults.has_answered(doomed):
                kills += 1
                boundary = boundary * 5 % 97 or 7  # scattered, and the same in every run
                context.faults.answer(doomed)
                doomed = context.faults.order("any", boundary)
            time.sleep(0.01)
        verdict = context.verdict("killed beside others", access, watch, access.ends_at)
    context.faults.stop(doomed)
    verdict.kills = kills
    return verdict


def _finish(context: ScenarioContext, name: str, access: ActiveAccess, *, workers: int) -> Verdict:
    """Let healthy workers end the access, and judge."""
    with Watch(context.environment, access.roles) as watch:
        healthy = [context.faults.order("any", NEVER) for _ in range(workers)]
        verdict = context.verdict(name, access, watch, time.time())
    for number in healthy:
        context.faults.stop(number)
    return verdict


def _with_kills(verdict: Verdict, kills: dict[str, int]) -> Verdict:
    verdict.kills = sum(kills.values())
    verdict.note = f"killed in {len(kills)} functions: {', '.join(sorted(kills))}"
    return verdict


def count_boundaries(context: ScenarioContext, stage: str) -> int:
    """Run a stage undisturbed and return how many boundaries it has."""
    number = context.faults.order(stage, NEVER)
    answer = context.faults.answer(number)
    if answer is None:
        raise InvalidRun(f"A worker did not finish {stage}.")
    time.sleep(SWEEP_S / 2)  # it may finish what follows
    context.faults.stop(number)
    return int(answer["boundaries"])


def _kill(context: ScenarioContext, stage: str, at: int, kills: dict[str, int]) -> None:
    number = context.faults.order(stage, at)
    answer = context.faults.answer(number)
    context.faults.stop(number)
    if answer is not None and "killed_in" in answer:
        kills[answer["killed_in"]] = kills.get(answer["killed_in"], 0) + 1
