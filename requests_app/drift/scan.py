"""Regular scans of targets for drift, and what follows from them."""

import secrets
import time
import uuid
from collections.abc import Iterator
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import (
    AccountListing,
    Connector,
    ManagedAccount,
    Target,
)
from accessflows.models import Integration
from requests_app.drift.compare import Comparison, compare, identities_of
from requests_app.drift.services import record_drift, record_removal
from requests_app.grants.revocation import revoke_dropped
from requests_app.grants.target_access import (
    BATCH_SIZE,
    connector_errors,
    connector_of_integration,
    iter_managed_accounts,
)
from requests_app.models import Grant, GrantState, TargetScan

log = structlog.get_logger(__name__)

MAX_REMOVED = 20  # in one scan; the next one continues


def due_for_scan(now: datetime, *, all_targets: bool = False) -> list[int]:
    """Return the ids of the integrations whose scan is due, or of all that are not being scanned."""
    new = Integration.objects.filter(scan=None)
    TargetScan.objects.bulk_create(
        [TargetScan(integration=integration) for integration in new], ignore_conflicts=True
    )
    scans = TargetScan.objects.filter(_unleased())
    if not all_targets:
        scans = scans.filter(next_scan_at__lte=now)
    return list(scans.order_by("next_scan_at").values_list("integration_id", flat=True))


def scan_target(integration_id: int, worker_id: str) -> int:
    """Scan one target unless another worker does. Return the number of logins removed."""
    lease = f"{worker_id[:50]}/{secrets.token_hex(4)}"
    scan = TargetScan.objects.filter(integration=integration_id)
    unleased = scan.filter(_unleased())
    if not unleased.update(lease_by=lease, lease_until=Now() + settings.WORKER_LEASE):
        return 0
    now, began = timezone.now(), time.monotonic()
    result: dict[str, object] = {"last_error": ""}
    removed = 0
    try:
        removed = _scan(Integration.objects.get(pk=integration_id), now)
        result |= {"scanned_at": now, "seconds": time.monotonic() - began}
    except ConnectorError as error:
        result["last_error"] = error.sentence[:500]
        log.warning("scan_failed", integration=integration_id, reason=error.sentence)
    next_scan_at = timezone.now() + settings.TARGET_SCAN_INTERVAL
    scan.filter(lease_by=lease).update(
        **result, next_scan_at=next_scan_at, lease_by="", lease_until=None
    )
    return removed


def list_logins(integration: Integration) -> Iterator[ManagedAccount]:
    """Yield the logins of this portal on a target."""
    for listing in _listings(integration):
        yield from (role for role in listing.accounts if role.grant_id is not None)


def list_unknown_logins(integration: Integration) -> Iterator[ManagedAccount]:
    """Yield those of `list_logins` that belong to no grant of this database."""
    for listing in _listings(integration):
        recorded, _ = _recorded_grants(listing)
        for role in listing.accounts:
            if role.grant_id is not None and role.grant_id not in recorded:
                yield role


def _listings(integration: Integration) -> Iterator[AccountListing]:
    connector, target = connector_of_integration(integration)
    for _, listing in iter_managed_accounts(connector, target, []):
        yield listing


def remove_unknown_login(*, integration: Integration, role: ManagedAccount) -> bool:
    """Contain and remove a login of `list_unknown_logins` now; return whether that succeeded."""
    return bool(_remove(integration, *connector_of_integration(integration), role))


def _unleased() -> Q:
    return Q(lease_until=None) | Q(lease_until__lt=Now())


def _scan(integration: Integration, since: datetime) -> int:
    """List the target's roles before reading the rows: a row is written before its login exists.

    Both are read in batches by name, as there may be many.
    """
    connector, target = connector_of_integration(integration)
    active = _active_grants(integration)
    comparison = Comparison()
    identities = identities_of(active)
    for logins, listing in iter_managed_accounts(connector, target, identities):
        recorded, removed_grants = _recorded_grants(listing)
        batch = active.filter(login__in=logins)
        comparison += compare(listing, recorded, removed_grants, batch, since=since)
    record_drift(integration=integration, findings=comparison.findings)
    _revoke_dropped(connector, target, comparison)
    removed = 0
    for role in comparison.to_remove[:MAX_REMOVED]:
        removed += _remove(integration, connector, target, role)
    return removed


def _active_grants(integration: Integration) -> QuerySet[Grant]:
    active = Grant.objects.filter(integration=integration, state=GrantState.ACTIVE)
    return active.exclude(login_mark="").defer(
        "owned_objects", "permission_state", "permission_changes", "proof"
    )


def _recorded_grants(listing: AccountListing) -> tuple[set[uuid.UUID], dict[uuid.UUID, Grant]]:
    """Return the ids of the listed grants that have a row, and those of them that are removed."""
    listed = [role.grant_id for role in listing.accounts if role.grant_id is not None]
    recorded: set[uuid.UUID] = set()
    removed: dict[uuid.UUID, Grant] = {}
    for first in range(0, len(listed), BATCH_SIZE):
        grants = Grant.objects.filter(pk__in=listed[first : first + BATCH_SIZE])
        recorded.update(grants.values_list("pk", flat=True))
        removed |= {grant.pk: grant for grant in grants.filter(state=GrantState.REMOVED)}
    return recorded, removed


def _revoke_dropped(connector: Connector, target: Target, comparison: Comparison) -> None:
    """Terminate the sessions of dropped roles, which outlive them, and revoke their requests."""
    if not comparison.dropped:
        return
    with connector_errors():
        connector.contain_many(target, identities_of(comparison.dropped))
    revoke_dropped(grants=comparison.dropped)


def _remove(
    integration: Integration, connector: Connector, target: Target, role: ManagedAccount
) -> int:
    """Remove an unknown or returned login. One that cannot be removed does not stop the others."""
    try:
        with connector_errors():
            connector.contain(target, role.identity)
            owned_objects = connector.find_owned_objects(target, role.identity)
            connector.clean(target, role.identity)
            proof = connector.prove(target, role.identity)
    except ConnectorError as error:
        log.warning("unknown_login_not_removed", login=role.name, reason=error.sentence)
        return 0
    record_removal(integration=integration, role=role, owned_objects=owned_objects, proof=proof)
    return 1
