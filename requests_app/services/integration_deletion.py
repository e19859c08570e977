"""Deleting an integration, once nothing that people have depends on it."""

from typing import Any

from django.db import IntegrityError, transaction

from accessflows.authority import require_admin
from accessflows.models import Integration
from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.integration_use import use_of_integration
from requests_app.policies import clean_reason


def delete_integration(
    *, actor: Any, window: Window | None, integration: Integration, reason: str, origin: Origin
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
                origin=origin,
                metadata={"reason": reason, "address": found.address},
            )
            found.delete()
    except IntegrityError:
        raise RequestRefused("It was put to use while it was deleted. Nothing was done.") from None
