"""Parked requests: how many one person may have, and which were not made in this browser."""

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.user_agent import name_browser
from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest

MOST_PARKED = 20


def refuse_more_parked(user: Any) -> None:
    """Refuse one more when as many wait for this person's code as may. Under their MFA state's lock."""
    waiting = AccessRequest.objects.of(user).pending_mfa().filter(pending_until__gt=timezone.now())
    if waiting.count() >= MOST_PARKED:
        raise RequestRefused(
            f"{MOST_PARKED} requests already wait for your code. Enter a code or withdraw one, "
            "then ask again."
        )


def made_elsewhere(requests: Iterable[AccessRequest], here: ClientInfo) -> dict[int, str]:
    """Say, by number, of requests made with another browser or from another address what it was.

    Whoever has a password can park requests in its owner's name; the owner's code would release
    them. One query, to the record, which kept from where each was made.
    """
    numbers = [request.pk for request in requests]
    if not numbers:
        return {}
    asked = Event.objects.filter(event=EventName.REQUEST_SUBMIT, request_id__in=numbers)
    return {
        event.request_id or 0: _where(event)
        for event in asked
        if (event.address, event.user_agent) != (here.address, here.user_agent)
    }


def _where(event: Event) -> str:
    address = f" at {event.address}" if event.address else ""
    return f"{name_browser(event.user_agent)}{address}"
