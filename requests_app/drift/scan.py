"""Looking over a target now and then: a roll call, a comparison, and what follows from it."""

import secrets
import uuid
from datetime import datetime
from functools import partial

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import (
    Connector,
    GrantIdentity,
    ManagedRole,
    RoleListing,
    Target,
)
from accessflows.models import Integration
from requests_app.drift.compare import Comparison, compare, identities_of
from requests_app.drift.services import note_drift, record_removal
from requests_app.grants.ending import end_vanished
from requests_app.grants.target_access import AT_ONCE, draft, iter_managed_roles, reach_integration
from requests_app.models import Grant, GrantState, TargetScan

log = structlog.get_logger(__name__)

MOST_REMOVED = 20  # in one look; the next one goes on


def due_for_scan(now: datetime, *, at_once: bool = False) -> list[int]:
    """Return the integrations to look over. ``at_once`` does not wait for their turn."""
    unwatched = Integration.objects.filter(watch=None)
    TargetScan.objects.bulk_create(
        [TargetScan(integration=integration) for integration in unwatched], ignore_conflicts=True
    )
    watches = TargetScan.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))
    if not at_once:
        watches = watches.filter(next_scan_at__lte=now)
    return list(watches.order_by("next_scan_at").values_list("integration_id", flat=True))


def scan_targets(integration_id: int, worker_id: str) -> int:
    """Compare one target with the portal's rows, if no other worker does. Returns what was removed."""
    lease = f"{worker_id[:50]}/{secrets.token_hex(4)}"
    mine = TargetScan.objects.filter(integration=integration_id)
    free = mine.filter(Q(lease_until=None) | Q(lease_until__lt=Now()))
    if not free.update(lease_by=lease, lease_until=Now() + settings.WORKER_LEASE):
        return 0
    now = timezone.now()
    result: dict[str, object] = {"last_error": ""}
    removed = 0
    try:
        removed = _look(Integration.objects.get(pk=integration_id), now)
        result["scanned_at"] = now
    except ConnectorError as error:
        result["last_error"] = error.sentence[:500]
        log.warning("target_not_looked_over", integration=integration_id, reason=error.sentence)
    next_scan_at = timezone.now() + settings.TARGET_SCAN_INTERVAL
    mine.filter(lease_by=lease).update(
        **result, next_scan_at=next_scan_at, lease_by="", lease_until=None
    )
    return removed


def _look(integration: Integration, since: datetime) -> int:
    """The target is asked first and the rows are read after it: a row comes before its login.

    Both are read some at a time in the order of the logins' OIDs: there may be many.
    """
    connector, target = reach_integration(integration)
    active = _active(integration)
    comparison = Comparison()
    for after, roll in iter_managed_roles(connector, target, partial(_identities, active)):
        known, ended = _known(roll)
        here = active.filter(login_oid__gt=after)
        if roll.up_to is not None:
            here = here.filter(login_oid__lte=roll.up_to)
        with (
            transaction.atomic()
        ):  # else a pooler may give the rest of a cursor to another connection
            rows = here.iterator(chunk_size=AT_ONCE)
            comparison += compare(roll, known, ended, rows, since=since)
    note_drift(integration=integration, findings=comparison.findings)
    _end_dropped(connector, target, comparison)
    removed = 0
    for role in comparison.to_remove[:MOST_REMOVED]:
        removed += _remove(integration, connector, target, role)
    return removed


def _active(integration: Integration) -> QuerySet[Grant]:
    active = Grant.objects.filter(integration=integration, state=GrantState.ACTIVE)
    return active.exclude(login_oid=None).defer("owned_objects", "proof").order_by("login_oid")


def _identities(active: QuerySet[Grant], after: int) -> list[GrantIdentity]:
    return identities_of(active.filter(login_oid__gt=after)[:AT_ONCE])


def _known(roll: RoleListing) -> tuple[set[uuid.UUID], dict[uuid.UUID, Grant]]:
    """The grants that the markers name, and of them the ended ones."""
    named = [role.grant_id for role in roll.roles if role.grant_id is not None]
    known: set[uuid.UUID] = set()
    ended: dict[uuid.UUID, Grant] = {}
    for first in range(0, len(named), AT_ONCE):
        grants = Grant.objects.filter(pk__in=named[first : first + AT_ONCE])
        known.update(grants.values_list("pk", flat=True))
        ended |= {each.pk: each for each in grants.filter(state=GrantState.ENDED)}
    return known, ended


def _end_dropped(connector: Connector, target: Target, comparison: Comparison) -> None:
    """Sessions outlive a dropped role, so they are ended; so is a request of which nothing is left."""
    if not comparison.dropped:
        return
    with draft():
        connector.contain_many(target, identities_of(comparison.dropped))
    end_vanished(grants=comparison.dropped)


def _remove(
    integration: Integration, connector: Connector, target: Target, role: ManagedRole
) -> int:
    """End a login of ours that nobody knows. One that cannot be removed stops no other."""
    try:
        with draft():
            connector.contain(target, role.identity)
            owned_objects = connector.find_owned_objects(target, role.identity)
            connector.clean(target, role.identity)
            proof = connector.prove(target, role.identity)
    except ConnectorError as error:
        log.warning("unknown_login_not_removed", login=role.name, reason=error.sentence)
        return 0
    record_removal(integration=integration, role=role, owned_objects=owned_objects, proof=proof)
    return 1
