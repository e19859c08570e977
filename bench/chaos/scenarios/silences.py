"""Servers that go silent without an error: the portal's database, and one of two targets."""

from bench.chaos.judge import Watch
from bench.chaos.scenario import ActiveAccess, ScenarioContext, sleep_until
from bench.chaos.scenarios.crowds import storm
from bench.chaos.verdict import Verdict

HANG_S = 8.0
HANGING = 3  # grants on the target that hangs


def database_silent(context: ScenarioContext) -> Verdict:
    """The portal's database goes silent before the end, for longer than any wait for it."""
    environment = context.environment
    access = context.activate(context.size, ends_at=context.time_for(context.size) + 7)
    sleep_until(access.ends_at - 1)
    environment.database_proxy.silence()
    with Watch(environment, access.roles) as watch:
        sleep_until(access.ends_at + context.silence_s)
        environment.database_proxy.speak()
        verdict = context.verdict("portal's database silent", access, watch, access.ends_at)
    if (alive := environment.running_workers) < 2:
        verdict.faults.append(f"Only {alive} of 2 workers survived.")
    return verdict


def target_hangs(context: ScenarioContext) -> Verdict:
    """One target hangs when access expires on it and on another one, which must not wait for it."""
    ends_at = context.time_for(context.size + HANGING)
    hanging = context.activate(HANGING, "proxied", ends_at=ends_at)
    access = context.activate(context.size, ends_at=ends_at)
    sleep_until(ends_at - 0.5)
    context.proxy.silence()
    with Watch(context.environment, access.roles) as watch:
        sleep_until(ends_at + HANG_S)
        verdict = context.verdict(
            "beside a hanging target", access, watch, ends_at, beside=hanging.roles
        )
    return _end_hanging(context, hanging, verdict)


def storm_beside_hanging(context: ScenarioContext) -> Verdict:
    """The same as the storm, while another target hangs on which access has just expired."""
    hanging = context.activate(HANGING, "proxied", ends_at=context.time_for(HANGING))
    sleep_until(hanging.ends_at - 0.5)
    context.proxy.silence()
    verdict = storm(context, beside=hanging.roles)
    verdict.name = "all end in one second beside a hanging target"
    return _end_hanging(context, hanging, verdict)


def _end_hanging(context: ScenarioContext, hanging: ActiveAccess, verdict: Verdict) -> Verdict:
    """Let the target answer again, and add what is wrong there then."""
    with Watch(context.environment, hanging.roles) as watch:
        context.proxy.speak()
        hanging.ends_at = 0
        # A worker may have to give up a connection that hangs before it opens another one.
        after = context.verdict("afterwards", hanging, watch, watch.wait_until_done(HANG_S))
    if not after.holds:
        verdict.faults.append(f"Afterwards, on the target that hung: {after}")
    return verdict
