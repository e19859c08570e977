"""Servers that are gone when an end comes: the target, the line to it, the portal's database."""

import time

from django.db import connections

from bench.chaos import judge
from bench.chaos.judge import Watch
from bench.chaos.stage import Stage, sleep_until
from bench.chaos.verdict import Verdict

AWAY_S = 5.0


def target_stopped(stage: Stage) -> Verdict:
    """The target is down when the end comes. It is judged from the moment it is back."""
    access = stage.open(stage.size, ends_at=stage.moment_for(stage.size))
    sleep_until(access.ends_at - 0.5)
    stage.ground.target_server.stop()
    sleep_until(access.ends_at + AWAY_S)
    with Watch(stage.ground, access.roles) as watch:
        stage.ground.target_server.start()
        back_at = time.time()
        at_once = judge.usable(stage.ground, access.keys[:10])
        verdict = stage.verdict("target stopped at the end", access, watch, back_at)
    verdict.faults += [f"{role} signed in right after the start" for role in at_once]
    verdict.note = f"away for {back_at - access.ends_at:.1f} s past the end"
    return verdict


def line_cut(stage: Stage) -> Verdict:
    """The portal cannot reach the target when the end comes, grantees can: no sign-in even then."""
    access = stage.open(stage.size, "far", ends_at=stage.moment_for(stage.size))
    sleep_until(access.ends_at - 0.5)
    stage.line.cut()
    sleep_until(access.last_end + 0.2)
    meanwhile = judge.usable(stage.ground, access.keys)
    sleep_until(access.ends_at + AWAY_S)
    with Watch(stage.ground, access.roles) as watch:
        stage.line.mend()
        verdict = stage.verdict("line cut at the end", access, watch, time.time())
    verdict.faults += [f"{role} signed in past its end" for role in meanwhile]
    return verdict


def database_lost(stage: Stage) -> Verdict:
    """The portal's database is gone when the end comes; workers and target are up."""
    access = stage.open(stage.size, ends_at=stage.moment_for(stage.size) + 7)
    sleep_until(access.ends_at - 1)
    stage.ground.portal.stop()
    connections.close_all()
    with Watch(stage.ground, access.roles) as watch:
        sleep_until(access.ends_at + AWAY_S)
        stage.ground.portal.start()
        verdict = stage.verdict("portal's database lost", access, watch, access.ends_at)
    alive = stage.ground.workers_up
    if alive < 2:
        verdict.faults.append(f"Only {alive} of 2 workers outlived it.")
    return verdict
