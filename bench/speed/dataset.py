"""A portal's database that grows in place: users, their requests, and the audit log of all of it.

Two hundred users with everything they did are written through the models. Copies of this block, each a
moment later than the one before, fill the database up to a size. The rows are as the portal writes
them, except that secrets decrypt with no key and that the links of the audit chain are made up.
"""

import itertools
import sys
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.core.management.color import no_style
from django.db import connection, models
from django.utils import timezone

from accessflows.flows.services import write_requesters
from accessflows.models import AccessFlow, FlowTarget, Integration, Permission, Resource
from accessflows.requesters import named
from apono_portal.users.models import Role, User
from audit.models import ChainEntry, ChainState, Checkpoint, Delivery, Event
from mfa.models import Authenticator, MfaState, Outcome, TrustedBrowser, Verification
from requests_app.models import (
    AccessRequest,
    Decision,
    Grant,
    GrantState,
    RequestedTarget,
    Status,
)

BLOCK = 200  # users
EVENTS = 10 * BLOCK
CHECKPOINT = 500  # events
BASE = 1000  # smaller numbers are those of users who look at the pages
FLOWS, TEAMS, INTEGRATIONS = 60, 50, 6
HISTORY = timedelta(days=300)
BATCH_SIZE = 500_000
REINDEX_FROM = 20_000  # added rows from which on indexes are dropped and recreated
MARK = "x0x"  # in texts, replaced by the number of the copy
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FIRST_NAMES = "Ada Anna Ben Clara David Elena Farid Greta Hugo Ida Jonas Karim Lea Mia Nils Olga Oskar Peter Petra Rosa".split()  # fmt: skip  # noqa: SIM905
LAST_NAMES = "Bauer Costa Engel Fischer Garcia Keller Novak Peters Rossi Weber".split()  # noqa: SIM905
# The ten events of a request.
EVENT_NAMES = ("session:sign_in", "mfa:verify", "request:submit", "request:release", "request:approve",
               "request:activate", "grant:activate", "grant:reveal", "request:expire", "grant:prove")  # fmt: skip
# By number of the request in the block; one in five of all others was not granted.
STATUSES = {0: Status.ACTIVE, 1: Status.PENDING_APPROVAL, 2: Status.PENDING_MFA}
OTHER_STATUSES = (*[Status.EXPIRED] * 12, Status.REVOKED, Status.REVOKED, Status.REJECTED,
                  Status.REJECTED, Status.CANCELLED, Status.LAPSED, Status.FAILED)  # fmt: skip
Membership = User.groups.through
# Models with their rows in a block, which is by how much the numbers of a copy are higher.
STRIDES: dict[Any, int] = {
    User: BLOCK, Membership: BLOCK * 2, MfaState: BLOCK, Authenticator: BLOCK, TrustedBrowser: BLOCK,
    Session: BLOCK, Verification: BLOCK, AccessRequest: BLOCK, RequestedTarget: BLOCK, Grant: BLOCK,
    Decision: BLOCK, Delivery: BLOCK, Event: EVENTS, ChainEntry: EVENTS, Checkpoint: EVENTS // CHECKPOINT,
}  # fmt: skip
# Numbers of other rows in columns that are no foreign keys.
REFERENCES: dict[tuple[Any, str], Any] = {
    (Event, "actor_id"): User, (Event, "request_id"): AccessRequest, (Delivery, "event_id"): Event,
    (Verification, "device_id"): Authenticator, (ChainEntry, "event_id"): Event,
    (Checkpoint, "first_position"): Event, (Checkpoint, "last_position"): Event, (Checkpoint, "settled_id"): Event,
}  # fmt: skip


def prepare(users: int) -> None:
    """Make flows and the block, for a database that will have that many users."""
    pace = HISTORY / (users / BLOCK)
    make_block(make_flows(), timezone.now() - HISTORY, pace)
    with connection.cursor() as cursor:
        for model in STRIDES:
            table = model._meta.db_table
            cursor.execute(f'CREATE TABLE "block_{table}" AS SELECT * FROM "{table}"')
        cursor.execute("CREATE TABLE block_pace AS SELECT %s::interval AS pace", [pace])


def _create(rows: Iterable[models.Model]) -> list[Any]:
    rows = list(rows)
    return type(rows[0])._default_manager.bulk_create(rows)


def make_flows() -> list[tuple[AccessFlow, FlowTarget]]:
    everyone = Group.objects.create(name="Everyone")
    teams = _create(Group(id=BASE + n, name=f"Team {n}") for n in range(TEAMS))
    integrations = _create(
        Integration(name=f"System {n}", host="127.0.0.1", port=1, health="healthy")
        for n in range(INTEGRATIONS)
    )
    flows = []
    for n in range(FLOWS):
        integration = integrations[n % INTEGRATIONS]
        approval = "automatic" if n % 2 else "any_of"
        flow = AccessFlow.objects.create(
            name=f"Flow {n}",
            require_mfa=n % 3 != 0,
            approval=approval,
            version=1,
            fingerprint="f" * 64,
        )
        group = everyone if n % 3 else teams[n % TEAMS]
        write_requesters(flow=flow, sets=named(groups=[group.pk]))
        flow.approver_groups.add(teams[n % TEAMS])
        resource = Resource.objects.create(integration=integration, name=f"database_{n}")
        permission = Permission.objects.create(integration=integration, name=f"role_{n}")
        target = FlowTarget.objects.create(flow=flow, resource=resource, permission=permission)
        flows.append((flow, target))
    return flows


@dataclass(frozen=True)
class Author:
    """A user of the block by number, and when and from where they did everything."""

    n: int
    user: User
    at: datetime

    @property
    def pk(self) -> int:
        return BASE + self.n

    @property
    def client(self) -> dict[str, str]:
        return {"address": f"10.0.0.{self.n}", "user_agent": USER_AGENT}

    @property
    def label(self) -> str:
        return str(self.user)


def make_block(
    flows: list[tuple[AccessFlow, FlowTarget]], start: datetime, pace: timedelta
) -> None:
    """Write the rows of 200 users, each with one request and ten events."""
    rows: dict[Any, list[Any]] = {model: [] for model in STRIDES}
    everyone = Group.objects.get(name="Everyone")
    names = [f"{first} {last}" for last, first in itertools.product(LAST_NAMES, FIRST_NAMES)]
    for n, name in enumerate(names):
        author = _add_user(rows, n, name, start + pace * n / BLOCK)
        for m, group_id in enumerate((everyone.pk, BASE + n % TEAMS)):
            rows[Membership].append(
                Membership(id=BASE + 2 * n + m, user=author.user, group_id=group_id)
            )
        request = _add_request(rows, author, *flows[(n * 7) % FLOWS])
        if n % 2 == 0:
            _add_decision(rows, author, request)
        _add_events(rows, author)
    _add_checkpoints(rows, start)
    for model_rows in rows.values():
        _create(model_rows)


def _later() -> datetime:
    return timezone.now() + timedelta(hours=10)


def _add_user(rows: dict[Any, list[Any]], n: int, name: str, at: datetime) -> Author:
    """Add a user with a session and a trusted browser, and most of them with an authenticator."""
    pk, email = BASE + n, f"{name.lower().replace(' ', '.')}.{MARK}@example.org"
    is_active = n % 50 != 7
    user = User(id=pk, name=name, email=email, password="!", created_at=at, is_active=is_active)
    rows[User].append(user)
    rows[MfaState].append(MfaState(user=user))
    browser = {"nonce_hash": f"{MARK}{n}", "epoch": 0, "user_agent": USER_AGENT}
    rows[TrustedBrowser].append(TrustedBrowser(id=pk, user=user, **browser))
    session = {"session_data": "x" * 300, "expire_date": _later()}
    rows[Session].append(Session(session_key=f"{MARK}{n}", **session))
    if n % 20:
        app = {"name": "Authenticator app", "confirmed": True, "key": "siv1.none"}
        rows[Authenticator].append(Authenticator(id=pk, user=user, created_at=at, **app))
    return Author(n, user, at)


def _add_request(
    rows: dict[Any, list[Any]], author: Author, flow: AccessFlow, target: FlowTarget
) -> AccessRequest:
    """Add a request with its verification, target and, if it was granted, grant."""
    n, pk, at = author.n, author.pk, author.at
    status = STATUSES.get(n, OTHER_STATUSES[n % len(OTHER_STATUSES)])
    is_active = status == Status.ACTIVE
    is_granted = status in {Status.ACTIVE, Status.REVOKED, Status.EXPIRED}
    end = _later() if is_active else at + timedelta(hours=1)
    verification = _verification(author)
    rows[Verification].append(verification)
    request = AccessRequest(
        id=pk, requester=author.user, requester_label=author.label, flow=flow, flow_name=flow.name,
        flow_version=1, flow_fingerprint="f" * 64, require_mfa=flow.require_mfa,
        approval="any_of" if status == Status.PENDING_APPROVAL else flow.approval,
        max_duration=timedelta(hours=8), duration=timedelta(hours=1), status=status,
        justification=f"Look into the failed import of the night, OPS-{MARK}", created_at=at,
        ticket=f"OPS-{MARK}", status_changed_at=at, pending_until=_later(),
        starts_at=at if is_granted else None, ends_at=end if is_granted else None,
        ended_at=end if is_granted and not is_active else None, verification=verification,
        verified_at=at, verified_with="Authenticator app", verified_from=author.client["address"],
    )  # fmt: skip
    rows[AccessRequest].append(request)
    integration = target.resource.integration
    of_target = {"request": request, "integration": integration, "integration_name": integration.name,
                 "resource": target.resource.name, "permission": target.permission.name}  # fmt: skip
    rows[RequestedTarget].append(RequestedTarget(id=pk, **of_target))
    if is_granted:
        ended = {"contained_at": end, "removed_at": end, "proof": {"sessions": 0}}
        of_target |= (
            {"state": GrantState.ACTIVE} if is_active else {"state": GrantState.REMOVED, **ended}
        )
        rows[Grant].append(Grant(id=uuid.uuid4(), deadline=end, login=f"jit_{MARK}_{n}", login_mark=str(pk), activated_at=at, **of_target))  # fmt: skip
    return request


def _verification(author: Author) -> Verification:
    return Verification(
        id=author.pk,
        user=author.user,
        at=author.at,
        outcome="bad" if author.n % 40 == 3 else Outcome.OK,
        epoch=0,
        scope="unknown",
        device_id=author.pk,
        device_name="Authenticator app",
        session_ref=f"{MARK}{author.n}",
        **author.client,
    )


def _add_decision(rows: dict[Any, list[Any]], author: Author, request: AccessRequest) -> None:
    verdict = "reject" if request.status == Status.REJECTED else "approve"
    rows[Decision].append(
        Decision(
            id=author.pk,
            request=request,
            approver=author.user,
            approver_label=author.label,
            verdict=verdict,
            reason="As agreed",
            fingerprint="f" * 64,
            at=author.at,
        )
    )


def _add_events(rows: dict[Any, list[Any]], author: Author) -> None:
    """Add the ten events of a request with their places in the chain, and an email about one."""
    user, pk = author.user, author.pk
    mail = {"kind": "opened", "recipient": user.email, "recipient_label": user.name, "state": "sent",
            "subject": "Your access is active", "body": "Your access is active. " * 10}  # fmt: skip
    first = 10 * author.n + 1
    rows[Delivery].append(Delivery(id=pk, event_id=first, sent_at=author.at, **mail))
    for m, name in enumerate(EVENT_NAMES):
        number = first + m
        of_request = {"request_id": pk, "request_label": f"AR-{pk}"} if m > 1 else {}
        rows[Event].append(Event(
            id=number, at=author.at, event="mfa:refuse" if number % 97 == 0 else name, actor_id=pk,
            actor_label=author.label, target_type="users.user", target_id=str(pk),
            target_label=author.label, metadata={"outcome": "ok", "verification": pk},
            **author.client, **of_request,
        ))  # fmt: skip
        hashes = {"digest": "a" * 64, "chain_hash": "b" * 64}
        rows[ChainEntry].append(ChainEntry(position=number, event_id=number, **hashes))


def _add_checkpoints(rows: dict[Any, list[Any]], start: datetime) -> None:
    hashes = {"chain_hash": "a" * 64, "previous_hash": "b" * 64, "key_id": "b1", "hash": "c" * 64,
              "mac": "d" * 64}  # fmt: skip
    for number in range(1, EVENTS // CHECKPOINT + 1):
        last = number * CHECKPOINT
        positions = {"first_position": last - CHECKPOINT + 1, "last_position": last}
        rows[Checkpoint].append(
            Checkpoint(number=number, settled_id=last, created_at=start, **positions, **hashes)
        )


def grow(former_users: int, users: int) -> None:
    """Add copies of the block. The first one are the block's own rows."""
    with connection.cursor() as cursor:
        # What pages read is consistent by construction; triggers and references would only be checked.
        cursor.execute("SET session_replication_role = replica; SET synchronous_commit = off;"
                       " SET maintenance_work_mem = '700MB'")  # fmt: skip
        for model in STRIDES:
            _grow_table(cursor, model, max(former_users // BLOCK, 1), users // BLOCK)
        for statement in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
            cursor.execute(statement)
    if former_users == 0:
        give_requests_to_viewers()
    last = users * EVENTS // BLOCK
    ChainState.objects.update_or_create(id=1, defaults={"settled_id": last, "observed_id": last})


def _grow_table(cursor: Any, model: Any, first: int, last: int) -> None:
    started, table, stride = time.monotonic(), model._meta.db_table, STRIDES[model]
    indexes = _drop_indexes(cursor, table) if (last - first) * stride >= REINDEX_FROM else []
    columns = {field.column: _copied(model, field) for field in model._meta.concrete_fields}
    names = ", ".join(f'"{name}"' for name in columns)
    batch = BATCH_SIZE // stride
    for lo in range(first, last, batch):
        hi = min(lo + batch, last)
        cursor.execute(
            f'INSERT INTO "{table}" ({names}) SELECT {", ".join(columns.values())}'
            f' FROM generate_series({lo}, {hi - 1}) k, "block_{table}" b, block_pace p'
        )
        if (last - first) * stride > BATCH_SIZE:
            seconds = time.monotonic() - started
            print(f"  {table}: copies {hi:,} of {last:,}, {seconds:.0f} s", file=sys.stderr)
    for definition in indexes:
        cursor.execute(definition)


def _copied(model: Any, field: Any) -> str:
    """Return the expression for a column of copy k."""
    column = f'b."{field.column}"'
    number = field.primary_key and not field.is_relation
    referenced = REFERENCES.get((model, field.name)) or (model if number else field.related_model)
    if isinstance(field, models.UUIDField):
        return f"md5({column}::text || k)::uuid"
    if field.column == "request_label":
        return f"CASE WHEN {column} <> '' THEN 'AR-' || (b.request_id + k * {BLOCK}) ELSE '' END"
    if isinstance(field, models.CharField | models.TextField):
        return f"replace({column}, '{MARK}', 'x' || k || 'x')"
    if referenced in STRIDES:
        return f"{column} + k * {STRIDES[referenced]}"
    if isinstance(field, models.DateTimeField):
        return f"{column} + k * p.pace"
    return column


def _drop_indexes(cursor: Any, table: str) -> list[str]:
    cursor.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " WHERE i.indrelid = %s::regclass AND NOT i.indisprimary AND NOT EXISTS"
        " (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)",
        [table],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    return [definition for _, definition in indexes]


def give_requests_to_viewers() -> None:
    """Give users who look at the pages 20 requests each, one active and one pending; admins decide."""
    later = timezone.now() + timedelta(hours=10)
    viewers = User.objects.filter(pk__lt=BASE).order_by("pk")
    for n, viewer in enumerate(viewers):
        if viewer.role == Role.ADMIN:
            viewer.groups.add(BASE, BASE + 1)
        first = BASE + n * 20
        requests = AccessRequest.objects.filter(pk__range=(first, first + 19))
        requests.update(requester=viewer, requester_label=f"{viewer.name} <{viewer.email}>")
        active, pending, *_ = requests.filter(status=Status.EXPIRED)
        open_end = {"ended_at": None, "ends_at": later}
        requests.filter(pk=active.pk).update(status=Status.ACTIVE, **open_end)
        active.grants.update(state=GrantState.ACTIVE, removed_at=None, contained_at=None, proof={}, deadline=later)  # fmt: skip
        waiting = {"ended_at": None, "ends_at": None, "starts_at": None, "pending_until": later}
        requests.filter(pk=pending.pk).update(status=Status.PENDING_APPROVAL, approval="any_of", **waiting)  # fmt: skip
        pending.grants.all().delete()
