"""Terminating sessions at the deadline of their grants, before anything else is done.

From the deadline on, the target refuses sign-ins of a login, so a session that is terminated then cannot
come back. Disabling the login, which takes longer when many expire at once, follows with containment.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from psycopg import sql

from accessflows.connectors.postgresql.connection import connect_as_broker
from accessflows.connectors.postgresql.roles import oid_of
from accessflows.connectors.protocol import GrantIdentity, Target

log = structlog.get_logger(__name__)

_MAX_WAIT_S = 2.0
_MARGIN_S = 0.01  # deadlines have microseconds and must be past
_BUDGET_S = 5.0

# The deadline is the one on the target, which may have been extended since. The broker has no rights on a
# role that was made SUPERUSER by hand, which would abort the statement for all.
_SIGNAL = sql.SQL(
    "SELECT usesysid::bigint AS oid, count(*) FILTER (WHERE pg_terminate_backend(a.pid)) AS signalled"
    " FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid"
    " WHERE a.usesysid = ANY(%(oids)s::oid[]) AND r.rolname = ANY(%(names)s::name[])"
    " AND r.rolvaliduntil <= clock_timestamp() AND NOT r.rolsuper GROUP BY usesysid"
)


def terminate_sessions_at(
    target: Target, identities: Sequence[GrantIdentity], moment: datetime
) -> dict[GrantIdentity, int]:
    """Terminate sessions at `moment`. The connection is ready before, so that only one statement is left."""
    with connect_as_broker(target, budget_s=_BUDGET_S, urgent=True) as connection:
        ours = [one for one in identities if one.server_id == connection.system_identifier]
        if not ours:
            return {}
        left_s = (moment - datetime.now(UTC)).total_seconds() + _MARGIN_S
        time.sleep(min(max(left_s, 0), _MAX_WAIT_S))
        values = {
            "oids": [oid_of(identity) for identity in ours],
            "names": [identity.name for identity in ours],
        }
        signalled = {row["oid"]: int(row["signalled"]) for row in connection.rows(_SIGNAL, values)}
    log.info("sessions_terminated_on_time", sessions=sum(signalled.values()), logins=len(ours))
    return {one: signalled[oid_of(one)] for one in ours if oid_of(one) in signalled}
