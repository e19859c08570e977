"""A worker is suspended between every two steps; others go on, and then it resumes."""

import time

from bench.chaos import judge
from bench.chaos.environment import LEASE_S
from bench.chaos.judge import Watch
from bench.chaos.scenario import TIMEOUT_S, ActiveAccess, ScenarioContext
from bench.chaos.scenarios.killed import count_boundaries
from bench.chaos.verdict import Verdict

FULL_SIZE = 100  # of the storm, from which every boundary is taken instead of some
FEW = 4
ANSWER_S = 25.0  # longer than the database keeps the locks of one that is suspended
RESUMED_S = LEASE_S + 5.0  # in which resumed workers finish what they were at


def suspended_while_activating(context: ScenarioContext) -> Verdict:
    """All is activated by others and extended; those that resume must cut nothing."""
    context.environment.workers.stop()
    requests = [context.portal.submit("reader") for _ in range(2)]
    boundaries = {stage: count_boundaries(context, stage) for stage in ("begin", "activate")}
    total = sum(len(_chosen(context, number)) for number in boundaries.values())
    requests += [context.portal.submit("reader") for _ in range(total)]
    numbers = _suspend(context, boundaries)
    context.environment.ensure_workers(2)
    grants = context.portal.wait_active(requests, 2 * TIMEOUT_S)
    credentials = context.portal.reveal(grants)
    sessions = [judge.sign_in(context.environment, item) for item in credentials]
    access = ActiveAccess(grants, credentials, sessions)
    context.portal.extend(grants)
    _resume(context, numbers)
    usable = judge.usable_roles(context.environment, credentials)
    alive = {session.info.user for session in sessions if judge.is_alive(session)}
    with Watch(context.environment, access.roles) as watch:
        context.portal.end(grants)
        verdict = context.verdict("suspended while activating", access, watch, time.time())
    verdict.faults += [f"{role} was cut" for role in access.roles - (usable & alive)]
    verdict.note = f"suspended at {len(numbers)} boundaries"
    return verdict


def suspended_while_containing(context: ScenarioContext) -> Verdict:
    return _suspended_while_ending(context, "contain")


def suspended_while_cleaning(context: ScenarioContext) -> Verdict:
    return _suspended_while_ending(context, "clean")


def _suspended_while_ending(context: ScenarioContext, stage: str) -> Verdict:
    """Others end the access while the suspended ones hold what they hold."""
    trial = context.activate(1)
    context.environment.workers.stop()
    context.portal.end(trial.grants)
    boundaries = {stage: count_boundaries(context, stage)}
    context.environment.ensure_workers(2)
    context.portal.wait_ended(trial.grants, TIMEOUT_S)
    context.close(trial)
    access = context.activate(context.size)
    context.environment.workers.stop()
    with Watch(context.environment, access.roles) as watch:
        context.portal.end(access.grants)
        numbers = _suspend(context, boundaries)
        context.environment.ensure_workers(2)
        since = time.time()
        context.portal.wait_ended(access.grants, TIMEOUT_S)
        _resume(context, numbers)
        verdict = context.verdict(f"suspended in {stage}", access, watch, since)
    verdict.note = f"suspended at {len(numbers)} boundaries"
    return verdict


def _chosen(context: ScenarioContext, boundaries: int) -> list[int]:
    """Return every boundary, or in a short run some of them."""
    step = 1 if context.storm_size >= FULL_SIZE else max(1, boundaries // FEW)
    return list(range(1, boundaries + 1, step))


def _suspend(context: ScenarioContext, boundaries: dict[str, int]) -> list[int]:
    numbers = []
    for stage, count in boundaries.items():
        for at in _chosen(context, count):
            number = context.faults.order(stage, at, suspends=True)
            answer = context.faults.answer(number, timeout_s=ANSWER_S)
            if answer is None or "killed_in" not in answer:
                context.faults.stop(number)  # it had nothing to do at that boundary
                continue
            context.say(f"{stage}: suspended at {at} of {count}, in {answer['killed_in']}")
            numbers.append(number)
    return numbers


def _resume(context: ScenarioContext, numbers: list[int]) -> None:
    for number in numbers:
        context.faults.resume(number)
    time.sleep(RESUMED_S)
    for number in numbers:
        context.faults.stop(number)
