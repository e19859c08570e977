"""A user's own time zone."""

from django.db import transaction

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record


def choose_time_zone(*, actor: User, time_zone: str, client_info: ClientInfo) -> None:
    """Show times to this user in a time zone; "" for the browser's."""
    if actor.time_zone == time_zone:
        return
    with transaction.atomic():
        User.objects.filter(pk=actor.pk).update(time_zone=time_zone)
        changes = {"time_zone": {"from": actor.time_zone, "to": time_zone}}
        record(
            event=EventName.USER_CHANGE,
            actor=actor,
            target=actor,
            client_info=client_info,
            metadata={"changes": changes},
        )
