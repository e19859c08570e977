"""Fills a portal's database with requests and open grants on a real target.

Runs in the portal's environment: `python -m bench.speed.granted COMMAND` reads a JSON object and prints
one. ``offer`` makes an integration and a flow, ``ask`` some requests, ``end`` ends what is open, and
``open`` makes grants that are open already, on the target, too.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "apono_portal.settings")

import django

django.setup()

import psycopg  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402
from django.utils import timezone  # noqa: E402

from accessflows.connectors.postgresql.names import Marker  # noqa: E402
from accessflows.flows.services import create_flow
from accessflows.flows.terms import FlowInput
from accessflows.integrations.checks import check_integration
from accessflows.integrations.services import create_integration  # noqa: E402
from accessflows.integrations.terms import IntegrationInput  # noqa: E402
from accessflows.models import AccessFlow, Integration, Permission, Resource  # noqa: E402
from apono_portal.core.web.client import SYSTEM  # noqa: E402
from apono_portal.users.models import Role, User  # noqa: E402
from bench.speed.target import DATABASE, PERMISSION, Login, make_logins  # noqa: E402
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.models import (  # noqa: E402
    AccessRequest,
    Grant,
    GrantState,
    RequestedTarget,
    Status,
)
from requests_app.submission.evaluation import RequestDraft, Words  # noqa: E402
from requests_app.submission.services import submit_requests  # noqa: E402

FLOW, TARGET = "Orders on the target", "orders server"
HOURS = timedelta(hours=8)


def offer(told: dict[str, Any]) -> dict[str, Any]:
    """An integration with the target that is told, and an automatic flow for one person and all groups."""
    admin = User.objects.create_user(email="ada@example.org", name="Ada", role=Role.ADMIN)
    requester = User.objects.create_user(email="max@example.org", name="Max")
    address = IntegrationInput(name=TARGET, sslmode=Integration.SslMode.DISABLE, **told)
    integration = create_integration(actor=admin, window=None, terms=address, client_info=SYSTEM)
    inspect_target = check_integration(actor=admin, integration=integration, client_info=SYSTEM)
    if inspect_target.inventory is None:
        raise SystemExit(
            f"The target does not answer: {[c.sentence for c in inspect_target.checks]}"
        )
    resource = Resource.objects.get(integration=integration, name=DATABASE)
    permission = Permission.objects.get(integration=integration, name=PERMISSION)
    terms = FlowInput(
        name=FLOW,
        requester_users=frozenset({requester.pk}),
        requester_groups=frozenset(Group.objects.values_list("pk", flat=True)),
        targets=frozenset({(resource.pk, permission.pk)}),
        max_duration=HOURS,
    )
    flow = create_flow(actor=admin, window=None, terms=terms, client_info=SYSTEM)
    return {"target": flow.targets.get().pk}


def ask(told: dict[str, Any]) -> dict[str, Any]:
    for _ in range(told["number"]):
        _ask_once()
    return {}


def end(told: dict[str, Any]) -> dict[str, Any]:
    admin = User.objects.get(email="ada@example.org")
    requests = AccessRequest.objects.filter(status=Status.ACTIVE)
    for request in requests:
        revoke_access(actor=admin, request=request)
    return {}


def open_grants(told: dict[str, Any]) -> dict[str, Any]:
    """Make ``number`` grants that end evenly within ``spread_s`` from ``first_end`` on.

    Returns the logins that have a password, every one in ``sessions``, with their ends.
    """
    first_end = datetime.fromtimestamp(told["first_end"], UTC)
    step = timedelta(seconds=told["spread_s"]) / told["number"]
    ends = [first_end + number * step for number in range(told["number"])]
    grants = _rows(ends)
    _make_on_target(grants, told)
    Grant.objects.bulk_create(grants, batch_size=1000)
    if timezone.now() > first_end:
        raise SystemExit(
            "The first end came before all were open; give BENCH_GRANTS a smaller number."
        )
    every = max(1, len(grants) // told["sessions"])
    return {
        "ends": {grant.login: grant.deadline.timestamp() for grant in grants},
        "with_password": [grant.login for grant in grants[::every]],
    }


def _ask_once() -> AccessRequest:
    flow = AccessFlow.objects.get(name=FLOW)
    targets = frozenset(flow.targets.values_list("pk", flat=True))
    [request] = submit_requests(
        actor=User.objects.get(email="max@example.org"),
        drafts=[RequestDraft(flow, targets, HOURS)],
        words=Words("Look into the failed import."),
        window=None,
    )
    return request


def _rows(ends: list[datetime]) -> list[Grant]:
    """Active requests like one that was made through the service, and their unsaved grants."""
    like = _ask_once()
    cancel_request(actor=User.objects.get(email="max@example.org"), request=like)
    now, target = timezone.now(), like.targets.select_related("integration").get()
    fields = {each.attname for each in AccessRequest._meta.concrete_fields} - {"id"}
    common = {name: getattr(like, name) for name in fields}
    common |= {"status": Status.ACTIVE, "starts_at": now, "pending_until": None}
    requests = AccessRequest.objects.bulk_create(
        [AccessRequest(**(common | {"ends_at": end})) for end in ends], batch_size=1000
    )
    named = {"integration": target.integration, "integration_name": target.integration_name,
             "resource": target.resource, "permission": target.permission}  # fmt: skip
    RequestedTarget.objects.bulk_create(
        [RequestedTarget(request=request, **named) for request in requests], batch_size=1000
    )
    opened = {"state": GrantState.ACTIVE, "activated_at": now, "revealed_at": now}
    return [
        Grant(request=request, deadline=request.ends_at, **named, **opened) for request in requests
    ]


def _make_on_target(grants: list[Grant], told: dict[str, Any]) -> None:
    """Make the logins and note on the grants which they are."""
    integration = Integration.objects.get(name=TARGET)
    every = max(1, len(grants) // told["sessions"])
    logins = []
    for number, grant in enumerate(grants):
        spec = grant.spec(integration)
        password = "" if number % every else told["password"]
        logins.append(Login(spec.role_name, Marker.of(spec).comment(), spec.deadline, password))
    with psycopg.connect(**told["target"], autocommit=True) as connection:
        oids = make_logins(connection, integration.broker, logins)
    for grant, login in zip(grants, logins, strict=True):
        grant.login, grant.login_oid = login.name, oids[login.name]
        grant.system_identifier = integration.system_identifier


COMMANDS = {"offer": offer, "ask": ask, "end": end, "open": open_grants}

if __name__ == "__main__":
    json.dump(COMMANDS[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
