"""Checks of integrations: the target is inspected outside transactions, then the result is stored."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.connectors.protocol import Check, DiscoveredPermission
from accessflows.exceptions import Refused
from accessflows.integrations.inspection import Inspection, ProgressListener, inspect_target
from accessflows.integrations.jobs import abandoned, acquire, finish, heartbeat
from accessflows.integrations.terms import ADDRESS_FIELDS
from accessflows.models import CheckRun, Integration, Permission, Resource
from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

State = CheckRun.State
Steps = list[dict[str, object]]
# After which time an integration is checked again, by its health.
CHECK_AGAIN = {
    Integration.Health.HEALTHY: timedelta(days=1),
    Integration.Health.LIMITED: timedelta(hours=1),
    Integration.Health.DOWN: timedelta(minutes=5),
}
ABANDONED = "The worker stopped before the check finished. Run it again."


class _RunProgress(ProgressListener):
    """Stores the progress of an inspection in the row of its run."""

    def __init__(self, run: CheckRun, lease: str) -> None:
        self._run, self._lease = run, lease
        self.steps: Steps = []

    def report(self, *checks: Check) -> None:
        self.steps += [check.as_dict() for check in checks]
        heartbeat(self._run, self._lease, steps=self.steps)

    def report_read(self, read: int, to_read: int) -> None:
        heartbeat(self._run, self._lease, read=read, to_read=to_read)


def request_check(
    *, actor: "User", window: Window | None, integration: Integration, client_info: ClientInfo
) -> CheckRun:
    """Request a check with discovery, to be run by a worker. Returns the one under way if there is."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            run = CheckRun.objects.create(
                integration=integration, requested_by=actor, requested_by_label=str(actor)
            )
            record(
                event=EventName.INTEGRATION_CHECK,
                actor=actor,
                target=integration,
                client_info=client_info,
                metadata={"state": "requested"},
            )
    except IntegrityError:
        under_way = integration.check_runs.filter(finished_at=None).first()
        if under_way is None:
            raise Refused("A check has just finished. See its result, or check again.") from None
        return under_way
    return run


def run_check(*, run: CheckRun) -> bool:
    """Run a waiting check unless another worker has it. Its progress is stored as it goes."""
    lease = acquire(run)
    if not lease:
        return False
    progress = _RunProgress(run, lease)
    try:
        inspection = check_integration(
            actor=None,
            integration=run.integration,
            client_info=SYSTEM,
            requested=True,
            listener=progress,
        )
    except Refused as refused:
        _fail(run, lease, progress.steps, refused.sentence)
        return True
    except Exception as error:
        sentence = f"The connector failed ({type(error).__name__}). Run the check again."
        _fail(run, lease, progress.steps, sentence)
        raise
    state = State.FAILED if inspection.inventory is None else State.PASSED
    discovered = [step for step in progress.steps if step["name"] == "discovered"]
    steps = [*(check.as_dict() for check in inspection.checks), *discovered]
    run.refresh_from_db(fields=["to_read"])
    finish(run, lease, state=state, steps=steps, read=run.to_read)
    return True


def close_abandoned_checks(*, now: datetime) -> int:
    """Fail the checks whose worker was killed, and return how many."""
    runs = abandoned(CheckRun)
    for run in runs:
        with transaction.atomic():
            if _fail(run, run.lease_by, run.steps, ABANDONED, at=now):
                record(
                    event=EventName.INTEGRATION_CHECK,
                    actor=None,
                    target=run.integration,
                    metadata={"state": "failed", "reason": ABANDONED},
                )
    return len(runs)


def _fail(
    run: CheckRun, lease: str, steps: Steps, sentence: str, at: datetime | None = None
) -> bool:
    steps = [*steps, Check.failed("finished", sentence).as_dict()]
    return finish(run, lease, state=State.FAILED, steps=steps, at=at)


def check_integration(
    *,
    actor: "User | None",
    integration: Integration,
    client_info: ClientInfo,
    requested: bool = False,
    listener: ProgressListener | None = None,
) -> Inspection:
    """Inspect the target, then store health, resources and permissions.

    Nothing is stored when the integration was changed in the meantime: the result is about another
    address. A scheduled check is recorded only when its result differs from the last one.
    """
    inspection = inspect_target(integration, listener or ProgressListener())
    with transaction.atomic():
        row = Integration.objects.select_for_update().filter(pk=integration.pk).first()
        if row is None or _address_of(row) != _address_of(integration):
            raise Refused("This integration was changed during the check. Check it again.")
        before = _result_of(row)
        _store_health(row, inspection)
        changes = _store_inventory(row, inspection)
        events: dict[EventName, Mapping[str, object]] = {}
        if requested or actor is not None or _result_of(row) != before:
            events[EventName.INTEGRATION_CHECK] = _result_of(row)
        if any(changes.values()):
            events[EventName.INTEGRATION_DISCOVER] = changes
        for event, metadata in events.items():
            record(
                event=event,
                actor=actor,
                target=row,
                client_info=client_info,
                metadata=dict(metadata),
            )
    return inspection


def _result_of(integration: Integration) -> dict[str, object]:
    failed = [check["name"] for check in integration.health_report if not check["ok"]]
    return {"health": integration.health, "failed": failed}


def _store_health(integration: Integration, inspection: Inspection) -> None:
    integration.health = inspection.health
    integration.health_checked_at = timezone.now()
    integration.next_check_at = integration.health_checked_at + CHECK_AGAIN[inspection.health]
    integration.health_report = [check.as_dict() for check in inspection.checks]
    if inspection.inventory:
        integration.server_version = inspection.inventory.server_version
        integration.system_identifier = inspection.inventory.server_id
        integration.discovered_at = integration.health_checked_at
    integration.save()


def _store_inventory(integration: Integration, inspection: Inspection) -> dict[str, list[str]]:
    """Store what was discovered, mark what is missing, and return the names that changed."""
    inventory = inspection.inventory
    if inventory is None:
        return {}
    resources: dict[str, dict[str, object]] = {name: {} for name in inventory.resources}
    permissions = {
        role.name: {"rights": _rights_of(role, inspection.rights.get(role.name, {}))}
        for role in inventory.permissions
    }
    new_resources, missing_resources = _store_items(Resource, integration, resources)
    new_permissions, missing_permissions = _store_items(Permission, integration, permissions)
    return {
        "new_resources": new_resources,
        "missing_resources": missing_resources,
        "new_permissions": new_permissions,
        "missing_permissions": missing_permissions,
    }


def _store_items(
    model: type[Resource] | type[Permission],
    integration: Integration,
    discovered: Mapping[str, Mapping[str, object]],
) -> tuple[list[str], list[str]]:
    items = model._default_manager.filter(integration=integration)
    present = {item.name for item in items if item.is_present}
    for name, values in discovered.items():
        model._default_manager.update_or_create(
            integration=integration, name=name, defaults={**values, "missing_since": None}
        )
    missing = sorted(present - discovered.keys())
    items.filter(name__in=missing).update(missing_since=timezone.now())
    return sorted(discovered.keys() - present), missing


def _rights_of(role: DiscoveredPermission, sentences: dict[str, list[str]]) -> dict[str, object]:
    return {
        "resources": list(role.resources),
        "refusal": role.refusal,
        "delegation": role.delegation,
        "words": sentences,
    }


def _address_of(integration: Integration) -> list[object]:
    """Return what an inspection's result is about: the address and the encrypted credential."""
    return [getattr(integration, name) for name in (*ADDRESS_FIELDS, "encrypted_password")]
