"""Servers that are gone when access expires: the target, the line to it, the portal's database."""

import time

from django.db import connections

from bench.chaos import judge
from bench.chaos.judge import Watch
from bench.chaos.scenario import ScenarioContext, sleep_until
from bench.chaos.verdict import Verdict

OUTAGE_S = 5.0


def target_stopped(context: ScenarioContext) -> Verdict:
    """Stop the target before the end. It is judged from the moment it is back."""
    environment = context.environment
    access = context.activate(context.size, ends_at=context.time_for(context.size))
    sleep_until(access.ends_at - 0.5)
    environment.target_server.stop()
    sleep_until(access.ends_at + OUTAGE_S)
    with Watch(environment, access.roles) as watch:
        environment.target_server.start()
        back_at = time.time()
        usable = judge.usable_roles(environment, access.credentials[:10])
        verdict = context.verdict("target stopped at the end", access, watch, back_at)
    verdict.faults += [f"{role} signed in right after the start" for role in usable]
    verdict.note = f"down for {back_at - access.ends_at:.1f} s past the end"
    return verdict


def line_cut(context: ScenarioContext) -> Verdict:
    """Cut the portal off from the target; grantees still reach it and must not get in past the end."""
    access = context.activate(context.size, "proxied", ends_at=context.time_for(context.size))
    sleep_until(access.ends_at - 0.5)
    context.proxy.cut()
    sleep_until(max(grant.deadline.timestamp() for grant in access.grants) + 0.2)
    usable = judge.usable_roles(context.environment, access.credentials)
    sleep_until(access.ends_at + OUTAGE_S)
    with Watch(context.environment, access.roles) as watch:
        context.proxy.restore()
        verdict = context.verdict("line cut at the end", access, watch, time.time())
    verdict.faults += [f"{role} signed in past its end" for role in usable]
    return verdict


def database_lost(context: ScenarioContext) -> Verdict:
    """Stop the portal's database before the end; workers and target are up."""
    environment = context.environment
    access = context.activate(context.size, ends_at=context.time_for(context.size) + 7)
    sleep_until(access.ends_at - 1)
    environment.portal.stop()
    connections.close_all()
    with Watch(environment, access.roles) as watch:
        sleep_until(access.ends_at + OUTAGE_S)
        environment.portal.start()
        verdict = context.verdict("portal's database lost", access, watch, access.ends_at)
    if (alive := environment.running_workers) < 2:
        verdict.faults.append(f"Only {alive} of 2 workers survived.")
    return verdict
