"""Fill a portal's database and its target with active grants.

A broker makes some dozen logins a second. Here a superuser makes them, so that a run spends its time on
their end; in the catalogs they are the broker's own all the same.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.utils import timezone
from psycopg import sql

from accessflows.connectors.postgresql.names import Marker
from accessflows.models import Integration
from accessflows.requesters import named
from apono_portal.users.models import Role, User
from bench.portal_data import add_flow, add_integration
from requests_app.grants.revocation import cancel_request
from requests_app.models import AccessRequest, Grant, GrantState, RequestedTarget, Status
from tests.fixtures.submission import submit_request

PERMISSION, RESOURCE = "orders_read", "orders"
MAX_DURATION = timedelta(hours=8)
BATCH_SIZE = 250
# First all that logins hold, then the broker's power over them: the more a broker may administer the
# longer the server takes for each of its grants.
CREATE = sql.SQL(
    "CREATE ROLE {login} LOGIN CONNECTION LIMIT 0 PASSWORD NULL VALID UNTIL {until};"
    " COMMENT ON ROLE {login} IS {comment}"
)
JOIN = sql.SQL(
    "GRANT {permission} TO {logins} WITH INHERIT TRUE, SET FALSE, ADMIN FALSE GRANTED BY {broker}"
)
ADMINISTER = sql.SQL("GRANT {logins} TO {broker} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")


def fill(
    target: dict[str, Any], address: dict[str, Any], number: int, first_end: float, spread_s: float
) -> None:
    """Make grants that end evenly within ``spread_s`` from ``first_end`` on."""
    first = datetime.fromtimestamp(first_end, UTC)
    ends = [first + n * timedelta(seconds=spread_s) / number for n in range(number)]
    admin = User.objects.create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
    integration = add_integration(admin, name="orders server", **address)
    grants = make_rows(submit_template(admin, integration), integration, ends)
    with psycopg.connect(**target, autocommit=True) as connection:
        make_logins(connection, integration, grants)
    Grant.objects.bulk_create(grants, batch_size=1000)
    if timezone.now() > first:
        raise SystemExit("The first end came before all were active; use fewer grants.")


def submit_template(admin: User, integration: Integration) -> AccessRequest:
    """Make one request through the services, for the others to be copies of."""
    requester = User.objects.create_user(email="max@example.org", name="Max")
    flow = add_flow(
        admin, integration, name="Orders on the target", resource=RESOURCE, permission=PERMISSION,
        max_duration=MAX_DURATION, requesters=named(users=[requester.pk]),
    )  # fmt: skip
    request = submit_request(
        actor=requester, flow=flow, target_ids=[flow.targets.get().pk], duration=MAX_DURATION,
        justification="Look into the failed import.", window=None,
    )  # fmt: skip
    cancel_request(actor=requester, request=request)
    request.refresh_from_db()
    return request


def make_rows(
    template: AccessRequest, integration: Integration, ends: list[datetime]
) -> list[Grant]:
    """Make active requests like the template and return their unsaved grants."""
    now = timezone.now()
    names = {field.attname for field in AccessRequest._meta.concrete_fields} - {"id"}
    common = {name: getattr(template, name) for name in names}
    common |= {"status": Status.ACTIVE, "starts_at": now, "ended_at": None, "final_status": ""}
    requests = [AccessRequest(**(common | {"ends_at": end})) for end in ends]
    AccessRequest.objects.bulk_create(requests, batch_size=1000)
    target = {"integration": integration, "integration_name": integration.name,
              "resource": RESOURCE, "permission": PERMISSION}  # fmt: skip
    targets = [RequestedTarget(request=request, **target) for request in requests]
    RequestedTarget.objects.bulk_create(targets, batch_size=1000)
    active = {"state": GrantState.ACTIVE, "activated_at": now, "revealed_at": now,
              "system_identifier": integration.system_identifier}  # fmt: skip
    return [
        Grant(request=request, deadline=request.ends_at, **target, **active) for request in requests
    ]


def make_logins(
    connection: psycopg.Connection[Any], integration: Integration, grants: list[Grant]
) -> None:
    """Make the logins as the broker would have, and note them on the grants."""
    batches = [grants[first : first + BATCH_SIZE] for first in range(0, len(grants), BATCH_SIZE)]
    names = {"broker": sql.Identifier(integration.broker), "permission": sql.Identifier(PERMISSION)}
    logins = []
    for batch in batches:
        statements = []
        for grant in batch:
            spec = grant.spec(integration)
            grant.login = spec.login
            until, comment = spec.deadline.isoformat(), Marker.of(spec).comment()
            statements.append(CREATE.format(login=sql.Identifier(grant.login), until=until, comment=comment))  # fmt: skip
        logins.append(sql.SQL(", ").join(sql.Identifier(grant.login) for grant in batch))
        statements.append(JOIN.format(logins=logins[-1], **names))
        connection.execute(sql.SQL("; ").join(statements))
    for batch_logins in logins:
        connection.execute(ADMINISTER.format(logins=batch_logins, **names))
    oids = dict(connection.execute("SELECT rolname, oid::text FROM pg_roles").fetchall())
    for grant in grants:
        grant.login_mark = oids[grant.login]
