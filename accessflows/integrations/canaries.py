"""Canaries: a trial grant on a real target, requested by an admin, run step by step by a worker."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Check
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import Refused
from accessflows.integrations.jobs import abandoned, acquire, finish, heartbeat
from accessflows.models import AccessFlow, CanaryRun, Integration, Permission, Resource
from accessflows.permissions import require_admin
from apono_portal.core.crypto import encryption
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

State = CanaryRun.State
Steps = list[dict[str, object]]
ABANDONED = (
    "The worker stopped before the canary finished. Its login expires within minutes; run it again."
)


def request_canary(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    resource: Resource,
    permission: Permission,
    client_info: ClientInfo,
) -> CanaryRun:
    """Request a canary for a permission on a resource. A worker runs it."""
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
        raise Refused("A canary is already running here. Wait until it has finished.") from None
    return run


def run_canary(*, run: CanaryRun) -> bool:
    """Run a waiting canary unless another worker has it. Every step is stored as it completes."""
    lease = acquire(run)
    if not lease:
        return False
    steps: Steps = []
    try:
        integration = run.integration
        cycle = connector_for(integration.kind).canary(
            integration.target(),
            run.resource,
            run.permission,
            portal_id=settings.PORTAL_ID,
            allow_delegation=_is_delegation_allowed(run),
        )
        for check in cycle:
            steps.append(check.as_dict())
            if not heartbeat(run, lease, steps=steps):
                return False
    except encryption.DecryptionFailed:
        sentence = "The credential can't be decrypted. Enter it again in the integration."
        steps.append(Check.failed("Connect", sentence).as_dict())
    except ConnectorError as error:
        steps.append(Check.failed("Connect", error.sentence).as_dict())
    except Exception as error:
        sentence = f"The connector failed ({type(error).__name__}). Run the canary again."
        _finish(run, lease, [*steps, Check.failed("Continue", sentence).as_dict()])
        raise
    _finish(run, lease, steps)
    return True


def _is_delegation_allowed(run: CanaryRun) -> bool:
    """Whether an access flow grants this permission although its users could give others access."""
    flows = AccessFlow.objects.filter(is_active=True, allow_delegation=True)
    return flows.filter(
        targets__permission__integration=run.integration, targets__permission__name=run.permission
    ).exists()


def close_abandoned_canaries(*, now: datetime) -> int:
    """Fail the canaries whose worker was killed, and return how many."""
    runs = abandoned(CanaryRun)
    for run in runs:
        steps = [*run.steps, Check.failed("Continue", ABANDONED).as_dict()]
        _finish(run, run.lease_by, steps, at=now)
    return len(runs)


def _finish(run: CanaryRun, lease: str, steps: Steps, at: datetime | None = None) -> None:
    passed = bool(steps) and all(step["ok"] for step in steps)
    state = State.PASSED if passed else State.FAILED
    with transaction.atomic():
        if finish(run, lease, state=state, steps=steps, at=at):
            failure = next((str(step["sentence"]) for step in steps if not step["ok"]), "")
            _record(run, None, SYSTEM, state=state.value, reason=failure)


def _record(run: CanaryRun, actor: "User | None", client_info: ClientInfo, **metadata: str) -> None:
    record(
        event=EventName.INTEGRATION_CANARY,
        actor=actor,
        target=run.integration,
        client_info=client_info,
        metadata={"resource": run.resource, "permission": run.permission, **metadata},
    )
