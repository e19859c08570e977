"""``{% active_access_of flow_id=flow.pk as panel %}``: the grants of one flow for its own page."""

from dataclasses import dataclass
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils import timezone

from requests_app.active_access.selectors import PANEL_SIZE, ActiveAccessFilters, filter_grants
from requests_app.presenters.active_access import ActiveGrantRow, active_grant_row

register = template.Library()


@dataclass(frozen=True)
class ActiveAccessPanel:
    """The grants that end first, and the address of all (requests_app/_active_access.html)."""

    rows: list[ActiveGrantRow]
    has_more: bool
    url: str
    shows_user: bool


@register.simple_tag
def active_access_of(
    *, user_id: int | None = None, flow_id: int | None = None, integration_id: int | None = None
) -> ActiveAccessPanel:
    """Return the first grants of a user, flow or integration."""
    filters = ActiveAccessFilters(user_id=user_id, flow_id=flow_id, integration_id=integration_id)
    grants = filter_grants(filters).select_related("request").order_by("deadline", "pk")
    first = list(grants.prefetch_related("request__decisions")[: PANEL_SIZE + 1])
    now = timezone.now()
    of = {"user_id": user_id, "flow_id": flow_id, "integration_id": integration_id}
    query = urlencode({name: key for name, key in of.items() if key is not None})
    return ActiveAccessPanel(
        rows=[active_grant_row(grant, now) for grant in first[:PANEL_SIZE]],
        has_more=len(first) > PANEL_SIZE,
        url=f"{reverse('requests:active_access')}?{query}",
        shows_user=user_id is None,
    )
