"""Closing the grants of a server that no longer exists, on which nothing can be verified."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.models import Integration
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record_many
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.grants.records import RELEASED
from requests_app.grants.revocation import finish_revocations
from requests_app.grants.target_access import connector_errors, connector_of_integration
from requests_app.lifecycle import lock_requests
from requests_app.models import Grant, GrantState
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User

STILL_ANSWERS = "The server still answers. The portal revokes access there automatically."


def close_grants_of_lost_server(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    reason: str,
    client_info: ClientInfo,
) -> int:
    """Close what is being revoked on a server that is gone, without a proof. Return how many grants.

    The integration must be disabled. Refused for grants on the server that answers at its address.
    """
    reason = clean_reason(reason, required=True)
    answering = _system_identifier_at(integration)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        if Integration.objects.select_for_update().get(pk=integration.pk).is_active:
            raise RequestRefused("Disable the integration first.")
        revoking = Grant.objects.filter(
            integration=integration, state__in=[GrantState.REVOKING, GrantState.CONTAINED]
        )
        if answering:
            never_identified = [""] if answering == integration.system_identifier else []
            revoking = revoking.exclude(system_identifier__in=[answering, *never_identified])
        requests = lock_requests(set(revoking.values_list("request_id", flat=True)))
        grants = list(revoking.filter(request__in=requests))
        if not grants:
            raise RequestRefused(STILL_ANSWERS if answering else "Nothing is being revoked on it.")
        _close(grants, actor)
        record_many(
            event=EventName.GRANT_CLOSE,
            actor=actor,
            entries=[
                (grant, requests[grant.request_id], {"login": grant.login, "reason": reason})
                for grant in grants
            ],
            client_info=client_info,
        )
        finish_revocations(requests=requests.values())
    return len(grants)


def _close(grants: list[Grant], actor: "User") -> None:
    now = timezone.now()
    proof = {
        "holds": False,
        "checked_at": now.isoformat(),
        "method": f"Nothing was verified: {actor} closed it because the server is gone.",
    }
    Grant.objects.filter(pk__in=[grant.pk for grant in grants]).update(
        state=GrantState.REMOVED, removed_at=now, proof=proof, **RELEASED
    )


def _system_identifier_at(integration: Integration) -> str:
    """Return the identifier of the server that answers at the integration's address, or ""."""
    try:
        with connector_errors():
            connector, target = connector_of_integration(integration)
            return connector.discover(target).server_id
    except ConnectorError:
        return ""
