"""Many at once: workers that race, and ends that all come in the same second."""

import threading
import time
from collections import Counter

import psycopg
from psycopg import sql

from audit.models import Event
from bench.chaos.judge import Watch
from bench.chaos.stage import Access, Stage, sleep_until
from bench.chaos.verdict import Verdict

HELD_S = 6.0
ONCE = ("grant:activate", "grant:contain", "grant:prove")


def workers_race(stage: Stage) -> Verdict:
    """Four workers want the same grants, to open and to end them."""
    stage.need_workers(4)
    access = stage.open(stage.size, ends_at=stage.moment_for(stage.size))
    with Watch(stage.ground, access.roles) as watch:
        sleep_until(access.ends_at)
        verdict = stage.verdict("four workers race", access, watch, access.ends_at)
    pks = {str(grant.pk) for grant in access.grants}
    told = Event.objects.filter(event__in=ONCE, target_id__in=pks).values_list("event", "target_id")
    twice = [each for each, number in Counter(told).items() if number != 1]
    verdict.faults += [f"{event} is on the record more than once" for event, _ in twice[:3]]
    stage.ground.stop_workers()
    return verdict


def storm(stage: Stage) -> Verdict:
    """All end in the same second. Of ten, five resist the cut and five the cleaning at first."""
    stage.ground.stop_workers()
    stage.need_workers(2)
    failing = min(5, stage.storm // 10)
    ends_at = stage.moment_for(stage.storm)
    builders = stage.open(failing, "builder", ends_at=ends_at)
    access = stage.open(stage.storm - failing, ends_at=ends_at)
    access = Access(
        builders.grants + access.grants,
        builders.keys + access.keys,
        builders.sessions + access.sessions,
        access.ends_at,
    )
    _resist_cleaning(stage, builders)
    _resist_cut(access.sessions[failing : 2 * failing])
    stage.say(f"{len(access.grants)} open, all to end in {access.ends_at - time.time():.1f} s")
    with Watch(stage.ground, access.roles) as watch:
        sleep_until(access.ends_at)
        verdict = stage.verdict("all end in one second", access, watch, access.ends_at)
    verdict.note = f"{2 * failing} of {len(access.grants)} failed at first"
    return verdict


def _resist_cleaning(stage: Stage, builders: Access) -> None:
    """Each leaves a table behind, and somebody else holds a lock on it for a while."""
    names = []
    for number, session in enumerate(builders.sessions):
        names.append(sql.Identifier("sales", f"kept_{number}_{int(time.time())}"))
        session.execute(sql.SQL("CREATE TABLE {} (id int)").format(names[-1]))
    holder = stage.ground.admin("orders")

    def hold() -> None:
        with holder, holder.transaction():
            for name in names:
                holder.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(name))
            sleep_until(builders.ends_at + HELD_S)

    threading.Thread(target=hold, daemon=True).start()


def _resist_cut(sessions: list[psycopg.Connection]) -> None:  # type: ignore[type-arg]
    """A grantee may change its own password; left open, that holds a lock on its role."""
    for session in sessions:
        session.execute("BEGIN")
        session.execute(
            sql.SQL("ALTER ROLE {} PASSWORD 'mine-now'").format(sql.Identifier(session.info.user))
        )
