"""Versions of a flow: every one is kept, with its terms in words and who made it."""

from typing import Any

from django.utils import timezone

from accessflows.difference import Difference, difference
from accessflows.fingerprint import fingerprint_of, terms_of
from accessflows.models import AccessFlow, FlowVersion


def stamp_version(*, flow: AccessFlow, changed_by: Any) -> FlowVersion:
    """Take the flow's fingerprint and keep its terms as a new version, inside a service's transaction."""
    terms = terms_of(flow)
    flow.version += 1
    flow.fingerprint = fingerprint_of(terms)
    flow.changed_at = timezone.now()
    flow.save(update_fields=["version", "fingerprint", "changed_at"])
    return FlowVersion.objects.create(
        flow=flow,
        version=flow.version,
        fingerprint=flow.fingerprint,
        terms=terms,
        changed_by_label=str(changed_by)[:320],
        at=flow.changed_at,
    )


def last_difference(flow: AccessFlow) -> list[Difference]:
    """Return what the newest version changed; nothing for the first."""
    newest = list(flow.versions.order_by("-version")[:2])
    return difference(newest[1].terms, newest[0].terms) if len(newest) == 2 else []
