"""Requests pending MFA: their number per requester, and those submitted from elsewhere."""

from collections.abc import Iterable

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.user_agent import name_browser
from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest

MAX_PENDING_MFA = 20
MAX_PENDING_MFA_BY_AGENTS = 5  # so that an agent cannot keep its user from requesting


def check_pending_mfa_limit(pending: int) -> None:
    """Refuse one more request pending MFA beyond the maximum. Count under the lock on the MFA state."""
    if pending >= MAX_PENDING_MFA:
        raise RequestRefused(
            f"{MAX_PENDING_MFA} requests are already waiting for your code. Verify or cancel one first."
        )


def check_agents_limit(pending: int) -> None:
    """Refuse one more request of an AI agent beyond the maximum of its user's agents together."""
    if pending >= MAX_PENDING_MFA_BY_AGENTS:
        raise RequestRefused(
            f"{MAX_PENDING_MFA_BY_AGENTS} requests of AI agents are already waiting for their user to "
            "verify. Wait, or cancel one first."
        )


def submitted_elsewhere(requests: Iterable[AccessRequest], here: ClientInfo) -> dict[int, str]:
    """Return, by request id, the browser and address of requests not submitted from here.

    Somebody with a stolen password can submit requests that the owner's code would release.
    """
    pks = [request.pk for request in requests]
    if not pks:
        return {}
    events = Event.objects.filter(event=EventName.REQUEST_SUBMIT, request_id__in=pks)
    return {
        event.request_id or 0: _client_text(event)
        for event in events
        if (event.address, event.user_agent) != (here.address, here.user_agent)
    }


def _client_text(event: Event) -> str:
    address = f" at {event.address}" if event.address else ""
    is_token = "token" in event.metadata
    return f"{'an API client' if is_token else name_browser(event.user_agent)}{address}"
