"""Ending sessions at the very moment their grants end, before anything else is done about it.

From its deadline on the target lets nobody sign in with a login, so a session that is ended then
cannot come back. Cutting the login, which takes longer when many end at once, follows by containment.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from psycopg import sql

from accessflows.connectors.postgresql.connection import broker_session
from accessflows.connectors.protocol import GrantIdentity, Target

log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 2.0
_MARGIN_S = 0.01  # a deadline is kept in microseconds and has to be past
_BUDGET_S = 5.0

# The deadline is the one the target has: it may have been moved since somebody looked. One that was
# given SUPERUSER by hand is beyond the broker, and would break off the statement for all.
_SIGNAL = sql.SQL(
    "SELECT usesysid::bigint AS oid, count(*) FILTER (WHERE pg_terminate_backend(a.pid)) AS told"
    " FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
    " WHERE a.usesysid = ANY(%(oids)s::oid[]) AND r.rolname = ANY(%(names)s::name[])"
    " AND r.rolvaliduntil <= clock_timestamp() AND NOT r.rolsuper GROUP BY usesysid"
)


def terminate_sessions_at(
    target: Target, identities: Sequence[GrantIdentity], moment: datetime
) -> dict[GrantIdentity, int]:
    """Open or take a connection first, so that the moment itself costs one statement."""
    with broker_session(target, budget_s=_BUDGET_S) as session:
        ours = [each for each in identities if each.system_identifier == session.system_identifier]
        if not ours:
            return {}
        left_s = (moment - datetime.now(UTC)).total_seconds() + _MARGIN_S
        time.sleep(min(max(left_s, 0), _LONGEST_WAIT_S))
        values = {
            "oids": [each.role_oid for each in ours],
            "names": [each.role_name for each in ours],
        }
        told = {row["oid"]: int(row["told"]) for row in session.rows(_SIGNAL, values)}
    log.info("sessions_ended_on_time", sessions=sum(told.values()), logins=len(ours))
    return {each: told[each.role_oid] for each in ours if each.role_oid in told}
