"""Favorites: the access flows that a user has at hand on New Request."""

from typing import TYPE_CHECKING

from django.db import transaction

from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import record
from requests_app.models import FavoriteFlow

if TYPE_CHECKING:
    from apono_portal.users.models import User


def set_favorite(
    *, actor: "User", flow: AccessFlow, is_favorite: bool, client_info: ClientInfo = SYSTEM
) -> None:
    """Add a flow to the user's favorites or remove it. Nothing is recorded if it is so already."""
    with transaction.atomic():
        if is_favorite:
            _, is_changed = FavoriteFlow.objects.get_or_create(user=actor, flow=flow)
        else:
            deleted, _ = FavoriteFlow.objects.filter(user=actor, flow=flow).delete()
            is_changed = bool(deleted)
        if is_changed:
            record(
                event=EventName.FLOW_FAVORITE if is_favorite else EventName.FLOW_UNFAVORITE,
                actor=actor,
                target=flow,
                client_info=client_info,
            )


def favorite_ids(user: "User") -> set[int]:
    return set(FavoriteFlow.objects.filter(user=user).values_list("flow", flat=True))
