"""Many at once: workers that race, and ends that all come in the same second."""

import threading
import time
from collections import Counter
from collections.abc import Iterable

import psycopg
from psycopg import sql

from audit.models import Event
from bench.chaos.judge import Watch
from bench.chaos.scenario import ActiveAccess, ScenarioContext, sleep_until
from bench.chaos.verdict import Verdict

LOCKED_S = 6.0
RECORDED_ONCE = ("grant:activate", "grant:contain", "grant:prove")


def workers_race(context: ScenarioContext) -> Verdict:
    """Four workers compete for the same grants, to activate and to end them."""
    context.environment.ensure_workers(4)
    access = context.activate(context.size, ends_at=context.time_for(context.size))
    with Watch(context.environment, access.roles) as watch:
        sleep_until(access.ends_at)
        verdict = context.verdict("four workers race", access, watch, access.ends_at)
    pks = {str(grant.pk) for grant in access.grants}
    events = Event.objects.filter(event__in=RECORDED_ONCE, target_id__in=pks)
    counts = Counter(events.values_list("event", "target_id"))
    repeated = [event for (event, _), number in counts.items() if number != 1]
    verdict.faults += [f"{event} is recorded more than once" for event in repeated[:3]]
    context.environment.workers.stop()
    return verdict


def storm(context: ScenarioContext, *, beside: Iterable[str] = ()) -> Verdict:
    """All end in the same second. Of ten, five resist termination and five the clean-up at first."""
    context.environment.workers.stop()
    context.environment.ensure_workers(2)
    failing = min(5, context.storm_size // 10)
    ends_at = context.time_for(context.storm_size)
    builders = context.activate(failing, "builder", ends_at=ends_at)
    readers = context.activate(context.storm_size - failing, ends_at=ends_at)
    access = ActiveAccess(
        builders.grants + readers.grants,
        builders.credentials + readers.credentials,
        builders.sessions + readers.sessions,
        ends_at,
    )
    _resist_cleanup(context, builders)
    _resist_termination(readers.sessions[:failing])
    context.say(f"{len(access.grants)} active, all to end in {ends_at - time.time():.1f} s")
    with Watch(context.environment, access.roles) as watch:
        sleep_until(ends_at)
        verdict = context.verdict("all end in one second", access, watch, ends_at, beside=beside)
    verdict.note = f"{2 * failing} of {len(access.grants)} failed at first"
    return verdict


def _resist_cleanup(context: ScenarioContext, builders: ActiveAccess) -> None:
    """Each leaves a table behind, and somebody else holds a lock on it for a while."""
    names = []
    for number, session in enumerate(builders.sessions):
        names.append(sql.Identifier("sales", f"kept_{number}_{int(time.time())}"))
        session.execute(sql.SQL("CREATE TABLE {} (id int)").format(names[-1]))
    holder = context.environment.connect("orders")

    def hold() -> None:
        with holder, holder.transaction():
            for name in names:
                holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
            sleep_until(builders.ends_at + LOCKED_S)

    threading.Thread(target=hold, daemon=True).start()


def _resist_termination(sessions: list[psycopg.Connection]) -> None:
    """A grantee may change its own password; an open transaction then holds a lock on its role."""
    for session in sessions:
        session.execute("BEGIN")
        change = sql.SQL("ALTER ROLE {} PASSWORD 'mine-now'")
        session.execute(change.format(sql.Identifier(session.info.user)))
