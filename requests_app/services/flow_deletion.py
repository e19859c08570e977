"""Deleting an access flow. The rule goes at once; what was opened by it loses its ground and ends."""

from typing import Any

from django.db import transaction

from accessflows.authority import require_admin
from accessflows.fingerprint import terms_of
from accessflows.models import AccessFlow
from audit.events import EventName
from audit.origin import Origin
from audit.services import record
from mfa.window import Window
from requests_app.exceptions import RequestRefused
from requests_app.flow_use import FlowUse, use_of
from requests_app.policies import clean_reason


def delete_flow(
    *, actor: Any, window: Window | None, flow: AccessFlow, reason: str, origin: Origin
) -> FlowUse:
    """Delete a flow, and return what stood on it.

    From here on nobody can ask through it, nothing that waits goes on, and the worker ends what is
    open (`ending.end_groundless`): a grant needs nothing of its flow to end. Requests keep their
    snapshot and the flow its versions, so history reads on.
    """
    reason = clean_reason(reason, required=True)
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        found = AccessFlow.objects.select_for_update().filter(pk=flow.pk).first()
        if found is None:
            raise RequestRefused("This access flow was deleted meanwhile.")
        use = use_of(found)
        record(
            event=EventName.FLOW_DELETE,
            actor=actor,
            target=found,
            origin=origin,
            metadata={
                "reason": reason,
                "version": found.version,
                "terms": terms_of(found),
                "requests": {name: getattr(use, name) for name in ("waiting", "opening", "open")},
            },
        )
        found.delete()
    return use
