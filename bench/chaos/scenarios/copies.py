"""A copy of the portal's database is started beside the portal."""

import time

from django.db import connections

from bench.chaos import judge
from bench.chaos.judge import Watch
from bench.chaos.portal import EXTENDABLE_S
from bench.chaos.scenario import ScenarioContext, sleep_until
from bench.chaos.verdict import Verdict

WATCHED_S = 5.0


def database_copied(context: ScenarioContext) -> Verdict:
    """The copy has a PORTAL_ID of its own, and knows nothing of an extension. It must cut nothing."""
    environment = context.environment
    ends_at = context.time_for(context.size) + EXTENDABLE_S + WATCHED_S
    access = context.activate(context.size, ends_at=ends_at)
    environment.workers.stop()
    connections.close_all()
    copy = environment.copy_portal("copy")
    environment.ensure_workers(2)
    context.portal.extend(access.grants)
    copy.launch("manage.py", "worker")
    sleep_until(ends_at + WATCHED_S)
    usable = judge.usable_roles(environment, access.credentials)
    alive = {session.info.user for session in access.sessions if judge.is_alive(session)}
    copy.stop()
    access.ends_at = 0
    with Watch(environment, access.roles) as watch:
        context.portal.end(access.grants)
        verdict = context.verdict("database copied", access, watch, time.time())
    verdict.faults += [f"{role} was cut" for role in access.roles - (usable & alive)]
    return verdict
