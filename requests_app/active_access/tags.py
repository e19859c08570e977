"""``{% load active_access %}{% active_access_of flow_id=flow.pk %}``: the first grants, for other pages."""

from typing import Any

from django import template
from django.urls import reverse
from django.utils import timezone

from requests_app.active_access.selectors import PANEL_SIZE, ActiveAccessFilters, filter_grants
from requests_app.presenters.active_access import active_grant_row

register = template.Library()


@register.inclusion_tag("requests_app/_active_access.html")
def active_access_of(**of: int) -> dict[str, Any]:
    """Show the grants of a user, flow or integration that end first, and link to all of them.

    ``of`` is one of the ids in `ActiveAccessFilters`.
    """
    grants = filter_grants(ActiveAccessFilters(**of)).order_by("deadline", "pk")
    related = grants.select_related("request").prefetch_related("request__decisions")
    rows = [active_grant_row(grant, timezone.now()) for grant in related[: PANEL_SIZE + 1]]
    [(name, key)] = of.items()
    return {
        "rows": rows[:PANEL_SIZE],
        "has_more": len(rows) > PANEL_SIZE,
        "url": f"{reverse('requests:active_access')}?{name}={key}",
        "shows_user": name != "user_id",
    }
