"""Deletion of integrations, and what prevents it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from accessflows.flows.selectors import flows_using
from accessflows.models import AccessFlow, Integration
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.models import Grant
from requests_app.submission.validation import clean_reason

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True)
class IntegrationUsage:
    """The flows that use an integration, and the number of its live grants."""

    flows: tuple[AccessFlow, ...]
    live: int

    @property
    def prevents_deletion(self) -> bool:
        return bool(self.flows or self.live)

    @property
    def sentence(self) -> str:
        if self.live:
            return f"Grants not removed yet: {self.live}. Disable the integration, and wait."
        names = ", ".join(flow.name for flow in self.flows)
        return f"Used by access flows: {names}. Remove it from them first."


def integration_usage(integration: Integration) -> IntegrationUsage:
    return IntegrationUsage(
        tuple(flows_using(integration).order_by("name")),
        Grant.objects.live().filter(integration=integration).count(),
    )


def delete_integration(
    *,
    actor: "User",
    window: Window | None,
    integration: Integration,
    reason: str,
    client_info: ClientInfo,
) -> None:
    """Delete an integration with its encrypted credential, unless a flow or live grant uses it.

    What a concurrent activation or flow adds is refused by the database, or makes this fail.
    """
    reason = clean_reason(reason, required=True)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            locked = Integration.objects.select_for_update().filter(pk=integration.pk).first()
            if locked is None:
                raise RequestRefused("This integration has already been deleted.")
            usage = integration_usage(locked)
            if usage.prevents_deletion:
                raise RequestRefused(usage.sentence)
            record(
                event=EventName.INTEGRATION_DELETE,
                actor=actor,
                target=locked,
                client_info=client_info,
                metadata={"reason": reason, "address": locked.address},
            )
            locked.delete()
    except IntegrityError:
        raise RequestRefused(
            "Something started using this integration during the deletion. Nothing was deleted."
        ) from None
