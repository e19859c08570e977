"""Limits on the number of grants that a user or an integration has at a time."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings

from accessflows.models import Integration
from requests_app.models import UNCONTAINED, Grant

if TYPE_CHECKING:
    from apono_portal.users.models import User


def lock_limits(integrations: Iterable[Integration]) -> None:
    """Let other activations on these integrations wait, so that none is counted too late.

    The user's own limit is locked with their MFA state.
    """
    pks = {integration.pk for integration in integrations}
    locked = Integration.objects.select_for_update(no_key=True).filter(pk__in=pks)
    list(locked.order_by("pk").values_list("pk"))


def limit_refusal(requester: "User", integrations: Iterable[Integration]) -> str:
    """Return why no grant on each of these can be added, or "". An integration may occur repeatedly."""
    added = Counter(integrations)
    grants = Grant.objects.filter(state__in=UNCONTAINED)
    limit = settings.MAX_ACTIVE_GRANTS_PER_USER
    held = grants.filter(request__requester=requester).count()
    if held + added.total() > limit:
        return (
            f"You can have {limit} active grants at a time and already have {held}. "
            "Revoke access you no longer need, then request again."
        )
    limit = settings.MAX_ACTIVE_GRANTS_PER_INTEGRATION
    for integration, number in added.items():
        held = grants.filter(integration=integration).count()
        if held + number > limit:
            return (
                f"{integration.name} can have {limit} active grants at a time and already has {held}. "
                "Request again when some have ended."
            )
    return ""
