"""Everything a person may ask for: searched by words, narrowed by names, in a fixed order."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from accessflows.flows.selectors import available_targets
from accessflows.models import AccessFlow, FlowTarget

MOST_NAMES = 200
SEARCHED = (
    "flow__name",
    "flow__description",
    "resource__integration__name",
    "resource__name",
    "permission__name",
    "permission__description",
)
ORDER = (
    "resource__integration__name",
    "resource__name",
    "permission__name",
    "flow__name",
    "pk",
)
# What the list is narrowed by, and where that stands.
FILTER_FIELDS = {
    "flow": "flow__name",
    "integration": "resource__integration__name",
    "resource": "resource__name",
    "permission": "permission__name",
}


def requestable_targets(user: Any) -> QuerySet[FlowTarget]:
    """Return each target of each flow the person may ask through, with all a row says of it."""
    flows = AccessFlow.objects.ids_requestable_by(user)
    return (
        available_targets()
        .filter(flow__is_active=True, flow__in=flows)
        .select_related("flow")
        .prefetch_related("flow__approver_groups", "flow__approver_users")
        .order_by(*ORDER)
    )


def narrowed(
    targets: QuerySet[FlowTarget], *, words: str = "", names: Mapping[str, str]
) -> QuerySet[FlowTarget]:
    """Return the targets in which every word is found somewhere, and whose names are those given."""
    for word in words.split():
        found = Q()
        for path in SEARCHED:
            found |= Q(**{f"{path}__icontains": word})
        targets = targets.filter(found)
    return targets.filter(**{FILTER_FIELDS[name]: value for name, value in names.items() if value})


def filter_options(rows: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Return the names there are to narrow by, `MOST_NAMES` of a kind at most, of rows of them."""
    columns = [set(column) for column in zip(*rows, strict=True)] or [set() for _ in FILTER_FIELDS]
    return {
        name: sorted(column, key=str.casefold)[:MOST_NAMES]
        for name, column in zip(FILTER_FIELDS, columns, strict=True)
    }
