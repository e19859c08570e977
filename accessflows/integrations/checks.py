"""Checks of integrations: asked of the target outside transactions, then stored; by hand or by turn."""

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.connectors.protocol import CapabilityRole, Check
from accessflows.exceptions import Refused
from accessflows.integrations.inspection import Inspection, Listener, inspect_target
from accessflows.integrations.jobs import finish, hold, stopped, take
from accessflows.integrations.terms import ADDRESS_FIELDS
from accessflows.models import CheckRun, Integration, Permission, Resource
from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

State = CheckRun.State

# When an integration is checked again by itself, by what the last check said.
CHECK_AGAIN = {
    Integration.Health.HEALTHY: timedelta(days=1),
    Integration.Health.LIMITED: timedelta(hours=1),
    Integration.Health.DOWN: timedelta(minutes=5),
}


STOPPED = "The worker was stopped in the middle. Check it again."


class _Telling(Listener):
    """Keeps a run's row up to date with its inspect_target."""

    def __init__(self, run: CheckRun, lease: str) -> None:
        self._run, self._lease = run, lease
        self.steps: list[dict[str, object]] = []

    def hear(self, *checks: Check) -> None:
        self.steps += [check.as_dict() for check in checks]
        hold(self._run, self._lease, steps=self.steps)

    def hear_read(self, read: int, to_read: int) -> None:
        hold(self._run, self._lease, read=read, to_read=to_read)


def request_check(
    *, actor: Any, window: Window | None, integration: Integration, client_info: ClientInfo
) -> CheckRun:
    """Ask for a check with discovery. A worker does it; one that is under way already is returned."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            run = CheckRun.objects.create(
                integration=integration, requested_by=actor, requested_by_label=str(actor)
            )
            event, told = EventName.INTEGRATION_CHECK, {"state": "requested"}
            record(
                event=event, actor=actor, target=integration, client_info=client_info, metadata=told
            )
    except IntegrityError:
        under_way = integration.check_runs.filter(finished_at=None).first()
        if under_way is None:
            raise Refused("A check has just ended. Look at it, or check again.") from None
        return under_way
    return run


def run_check(*, run: CheckRun) -> bool:
    """Do a check that waits, if no other worker has it. How far it is can be read meanwhile."""
    lease = take(run)
    if not lease:
        return False
    telling = _Telling(run, lease)
    try:
        found = check_integration(
            actor=None,
            integration=run.integration,
            client_info=SYSTEM,
            asked=True,
            listener=telling,
        )
    except Refused as refused:
        _fail(run, lease, telling.steps, refused.sentence)
        return True
    except Exception as error:
        broke = f"The connector broke off ({type(error).__name__}). Check it again."
        _fail(run, lease, telling.steps, broke)
        raise
    state = State.FAILED if found.inventory is None else State.PASSED
    heard = [each for each in telling.steps if each["name"] == "discovered"]
    steps = [*(check.as_dict() for check in found.checks), *heard]
    run.refresh_from_db(fields=["to_read"])
    finish(run, lease, state=state, steps=steps, read=run.to_read)
    return True


def close_stopped_checks(*, now: datetime) -> int:
    """Fail the checks whose worker was killed. Returns how many."""
    found = stopped(CheckRun)
    for run in found:
        with transaction.atomic():
            if _fail(run, run.lease_by, run.steps, STOPPED, at=now):
                told = {"state": "failed", "reason": STOPPED}
                event = EventName.INTEGRATION_CHECK
                record(event=event, actor=None, target=run.integration, metadata=told)
    return len(found)


def _fail(
    run: CheckRun,
    lease: str,
    steps: list[dict[str, object]],
    sentence: str,
    at: datetime | None = None,
) -> bool:
    red = Check("finished", ok=False, sentence=sentence).as_dict()
    return finish(run, lease, state=State.FAILED, steps=[*steps, red], at=at)


def check_integration(
    *,
    actor: Any | None,
    integration: Integration,
    client_info: ClientInfo,
    asked: bool = False,
    listener: Listener | None = None,
) -> Inspection:
    """Ask the target about itself, then store health, resources and permissions.

    Nothing is stored when the integration was changed meanwhile: the answer was about another one.
    A check that nobody asked for is put on the record only when it says something new.
    """
    said = inspect_target(integration, listener or Listener())
    with transaction.atomic():
        found = Integration.objects.select_for_update().filter(pk=integration.pk).first()
        if found is None or _address_of(found) != _address_of(integration):
            raise Refused("This integration was changed meanwhile. Check it again.")
        before = _result_of(found)
        _store_health(found, said)
        seen = _store_inventory(found, said)
        if asked or actor is not None or _result_of(found) != before:
            event = EventName.INTEGRATION_CHECK
            metadata = _result_of(found)
            record(
                event=event, actor=actor, target=found, client_info=client_info, metadata=metadata
            )
        if any(seen.values()):
            event = EventName.INTEGRATION_DISCOVER
            record(event=event, actor=actor, target=found, client_info=client_info, metadata=seen)
    return said


def _result_of(integration: Integration) -> dict[str, Any]:
    failed = [check["name"] for check in integration.health_report if not check["ok"]]
    return {"health": integration.health, "failed": failed}


def _store_health(integration: Integration, said: Inspection) -> None:
    integration.health = said.health
    integration.health_checked_at = timezone.now()
    integration.next_check_at = integration.health_checked_at + CHECK_AGAIN[said.health]
    integration.health_report = [check.as_dict() for check in said.checks]
    if said.inventory:
        integration.server_version = said.inventory.server_version
        integration.system_identifier = said.inventory.system_identifier
        integration.discovered_at = integration.health_checked_at
    integration.save()


def _store_inventory(integration: Integration, said: Inspection) -> dict[str, list[str]]:
    """Store what is there, mark what vanished, and return the names that came and went."""
    inventory = said.inventory
    if inventory is None:
        return {}
    resources: dict[str, dict[str, Any]] = {name: {} for name in inventory.databases}
    permissions = {
        role.name: {"rights": _rights_of(role, said.words.get(role.name, {}))}
        for role in inventory.roles
    }
    new_resources, gone_resources = _store_offered(Resource, integration, resources)
    new_permissions, gone_permissions = _store_offered(Permission, integration, permissions)
    return {
        "new_resources": new_resources,
        "vanished_resources": gone_resources,
        "new_permissions": new_permissions,
        "vanished_permissions": gone_permissions,
    }


def _store_offered(
    model: Any, integration: Integration, seen: dict[str, dict[str, Any]]
) -> tuple[list[str], list[str]]:
    known = {each.name: each for each in model.objects.filter(integration=integration)}
    came = sorted(name for name in seen if name not in known or not known[name].is_present)
    for name, values in seen.items():
        model.objects.update_or_create(
            integration=integration, name=name, defaults={**values, "missing_since": None}
        )
    gone = sorted(name for name, each in known.items() if each.is_present and name not in seen)
    model.objects.filter(integration=integration, name__in=gone).update(
        missing_since=timezone.now()
    )
    return came, gone


def _rights_of(role: CapabilityRole, words: dict[str, list[str]]) -> dict[str, object]:
    return {"databases": list(role.databases), "refusal": role.refusal, "words": words}


def _address_of(integration: Integration) -> list[Any]:
    """Return what a inspect_target's answer is about: address and credential, still sealed."""
    return [getattr(integration, name) for name in (*ADDRESS_FIELDS, "encrypted_password")]
