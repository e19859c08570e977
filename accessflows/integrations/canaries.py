"""Canaries: a full cycle on a real target, asked for by an admin, done step by step by a worker."""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Check
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import Refused
from accessflows.integrations.jobs import finish, hold, stopped, take
from accessflows.models import CanaryRun, Integration, Permission, Resource
from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

State = CanaryRun.State
STOPPED = (
    "The worker was stopped in the middle. The canary's login ends by itself within minutes; run "
    "it again."
)


def request_canary(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    resource: Resource,
    permission: Permission,
    client_info: ClientInfo,
) -> CanaryRun:
    """Ask for a canary with a permission on a resource of an integration. A worker runs it."""
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            run = CanaryRun.objects.create(
                integration=integration,
                resource=resource.name,
                permission=permission.name,
                requested_by=actor,
                requested_by_label=str(actor),
            )
            _record(run, actor, client_info, state="requested")
    except IntegrityError:
        raise Refused("A canary is under way on this integration. Wait for its end.") from None
    return run


def run_canary(*, run: CanaryRun) -> bool:
    """Do a run that waits, if no other worker has it. Every step is stored as it comes."""
    lease = take(run)
    if not lease:
        return False
    steps: list[dict[str, object]] = []
    try:
        integration = run.integration
        cycle = connector_for(integration.kind).canary(
            integration.target(), run.resource, run.permission, portal_id=settings.PORTAL_ID
        )
        for check in cycle:
            steps.append(check.as_dict())
            if not hold(run, lease, steps=steps):
                return False
    except encryption.DecryptionFailed:
        sentence = "The sealed secret cannot be opened. Enter it again in the integration."
        steps.append(Check.red("Reach", sentence).as_dict())
    except ConnectorError as error:
        steps.append(Check.red("Reach", error.sentence).as_dict())
    except Exception as error:
        broke = f"The connector broke off ({type(error).__name__}). Run it again."
        _finish(run, lease, [*steps, Check.red("Go on", broke).as_dict()])
        raise
    _finish(run, lease, steps)
    return True


def close_stopped_canaries(*, now: datetime) -> int:
    """Fail the runs whose worker was killed. Returns how many."""
    found = stopped(CanaryRun)
    for run in found:
        _finish(run, run.lease_by, [*run.steps, Check.red("Go on", STOPPED).as_dict()], at=now)
    return len(found)


def _finish(
    run: CanaryRun, lease: str, steps: list[dict[str, object]], at: datetime | None = None
) -> None:
    passed = bool(steps) and all(step["ok"] for step in steps)
    state = State.PASSED if passed else State.FAILED
    with transaction.atomic():
        if finish(run, lease, state=state, steps=steps, at=at):
            failed = next((str(step["sentence"]) for step in steps if not step["ok"]), "")
            _record(run, None, SYSTEM, state=state.value, reason=failed)


def _record(run: CanaryRun, actor: Any | None, client_info: ClientInfo, **told: str) -> None:
    record(
        event=EventName.INTEGRATION_CANARY,
        actor=actor,
        target=run.integration,
        client_info=client_info,
        metadata={"resource": run.resource, "permission": run.permission, **told},
    )
