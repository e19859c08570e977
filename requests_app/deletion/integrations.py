"""What needs an integration now, and so stands in the way of deleting it."""

from dataclasses import dataclass
from typing import Any

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
from requests_app.policies import clean_reason


@dataclass(frozen=True)
class IntegrationUse:
    """What stands in the way of deleting an integration."""

    flows: tuple[AccessFlow, ...]
    live: int

    @property
    def in_the_way(self) -> bool:
        return bool(self.flows or self.live)

    @property
    def sentence(self) -> str:
        if self.live:
            return f"Access on it is not proven gone yet ({self.live}). Disable it, and wait."
        names = ", ".join(flow.name for flow in self.flows)
        return f"These access flows lead there: {names}. Take it out of them first."


def use_of_integration(integration: Integration) -> IntegrationUse:
    return IntegrationUse(
        tuple(flows_using(integration).order_by("name")),
        Grant.objects.live().filter(integration=integration).count(),
    )


def delete_integration(
    *,
    actor: Any,
    window: Window | None,
    integration: Integration,
    reason: str,
    client_info: ClientInfo,
) -> None:
    """Remove an integration with its sealed credential. Refused while a flow or access needs it.

    What an activation or a flow adds meanwhile is refused by the database, or refuses this.
    """
    reason = clean_reason(reason, required=True)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            found = Integration.objects.select_for_update().filter(pk=integration.pk).first()
            if found is None:
                raise RequestRefused("This integration was deleted meanwhile.")
            use = use_of_integration(found)
            if use.in_the_way:
                raise RequestRefused(use.sentence)
            record(
                event=EventName.INTEGRATION_DELETE,
                actor=actor,
                target=found,
                client_info=client_info,
                metadata={"reason": reason, "address": found.address},
            )
            found.delete()
    except IntegrityError:
        raise RequestRefused("It was put to use while it was deleted. Nothing was done.") from None
