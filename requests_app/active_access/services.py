"""Revoking access of several users at once. The worker does what follows on the targets."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from accessflows.models import Integration
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window
from requests_app.active_access.selectors import access_on, revocable_on
from requests_app.exceptions import Conflict
from requests_app.grants.revocation import ENDABLE, revoke_or_cancel_all
from requests_app.lifecycle import BATCH_SIZE, lock_requests
from requests_app.models import AccessRequest
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True)
class RevocationOutcome:
    """Requests whose access is being revoked now, and those that somebody or the clock ended first."""

    revoked: list[AccessRequest]
    unchanged: list[AccessRequest]


def revoke_selected_access(
    *,
    actor: "User",
    window: Window | None,
    request_ids: Collection[int],
    reason: str,
    client_info: ClientInfo,
) -> RevocationOutcome:
    """Start to revoke the access of some requests. Raises `Conflict` if none of it is left."""
    reason = clean_reason(reason, required=True)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        requests = lock_requests(request_ids).values()
        revocable = [request for request in requests if request.status in ENDABLE]
        unchanged = [request for request in requests if request.status not in ENDABLE]
        if not revocable:
            raise Conflict("Nothing was changed: this access has already ended.")
        revoke_or_cancel_all(
            requests=revocable, actor=actor, client_info=client_info, reason=reason
        )
    return RevocationOutcome(revocable, unchanged)


def revoke_everything_on(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    reason: str,
    client_info: ClientInfo,
) -> int:
    """Start to revoke all access on an integration, and return of how many requests.

    Everything or nothing, in batches of one transaction: hundreds take less than a second. Requests
    that are pending stay. Raises `Conflict` if nothing is active: a second admin, who waits for the
    locks on the first requests, then records no second emergency.
    """
    reason = clean_reason(reason, required=True)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        access = access_on(integration)
        pks = list(revocable_on(integration).order_by("pk").values_list("pk", flat=True))
        revoked = 0
        for start in range(0, len(pks), BATCH_SIZE):
            requests = lock_requests(pks[start : start + BATCH_SIZE]).values()
            revocable = [request for request in requests if request.status in ENDABLE]
            revoke_or_cancel_all(
                requests=revocable, actor=actor, client_info=client_info, reason=reason
            )
            revoked += len(revocable)
        if not revoked:
            raise Conflict(f"Nothing was changed: nobody has access on {integration.name} now.")
        record(
            event=EventName.INTEGRATION_REVOKE_ALL,
            actor=actor,
            target=integration,
            client_info=client_info,
            metadata={"reason": reason, "requests": revoked, "users": access.users},
        )
    return revoked
