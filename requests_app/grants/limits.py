"""Limits on the number of grants that a user or an integration has at a time."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Count

from accessflows.models import Integration
from requests_app.models import UNCONTAINED, Grant

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True)
class GrantCounts:
    """How many grants a requester has, and how many each of some integrations has."""

    of_requester: int
    of_integration: dict[int, int]

    @classmethod
    def read(cls, requester: "User", integration_ids: Iterable[int]) -> "GrantCounts":
        grants = Grant.objects.filter(state__in=UNCONTAINED)
        held = grants.filter(integration__in=set(integration_ids)).values_list("integration")
        return cls(
            of_requester=grants.filter(request__requester=requester).count(),
            of_integration=dict(held.order_by().annotate(number=Count("pk"))),
        )

    def refusal(self, integrations: Iterable[Integration]) -> str:
        """Return why no grant on each of these can be added, or "". One may occur repeatedly."""
        added = Counter(integrations)
        limit, held = settings.MAX_ACTIVE_GRANTS_PER_USER, self.of_requester
        if held + added.total() > limit:
            return (
                f"You can have {limit} active grants at a time and already have {held}. "
                "Revoke access you no longer need, then request again."
            )
        limit = settings.MAX_ACTIVE_GRANTS_PER_INTEGRATION
        for integration, number in added.items():
            held = self.of_integration.get(integration.pk, 0)
            if held + number > limit:
                return (
                    f"{integration.name} can have {limit} active grants at a time and already has "
                    f"{held}. Request again when some have ended."
                )
        return ""


def lock_limits(integrations: Iterable[Integration]) -> None:
    """Let other activations on these integrations wait, so that none is counted too late.

    The user's own limit is locked with their MFA state.
    """
    pks = {integration.pk for integration in integrations}
    locked = Integration.objects.select_for_update(no_key=True).filter(pk__in=pks)
    list(locked.order_by("pk").values_list("pk"))


def limit_refusal(requester: "User", integrations: Iterable[Integration]) -> str:
    """Return why no grant on each of these can be added now, or ""."""
    integrations = list(integrations)
    counts = GrantCounts.read(requester, (integration.pk for integration in integrations))
    return counts.refusal(integrations)
