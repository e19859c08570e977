"""The catalog: every target a user can request, searched by words and filtered by names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from accessflows.flows.selectors import available_targets
from accessflows.models import AccessFlow, FlowTarget

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_OPTIONS = 200
SEARCHED_FIELDS = (
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
# The filters of the list, and the field each one compares.
FILTER_FIELDS = {
    "flow": "flow__name",
    "integration": "resource__integration__name",
    "resource": "resource__name",
    "permission": "permission__name",
}


def requestable_targets(user: "User | int") -> QuerySet[FlowTarget]:
    """Return every available target of every flow the user can request through."""
    flows = AccessFlow.objects.ids_requestable_by(user)
    return (
        available_targets()
        .filter(flow__is_active=True, flow__in=flows)
        .select_related("flow")
        .prefetch_related("flow__approver_groups", "flow__approver_users")
        .order_by(*ORDER)
    )


def filter_targets(
    targets: QuerySet[FlowTarget], *, words: str = "", names: Mapping[str, str]
) -> QuerySet[FlowTarget]:
    """Return the targets that contain every word somewhere and have exactly these names."""
    for word in words.split():
        condition = Q()
        for path in SEARCHED_FIELDS:
            condition |= Q(**{f"{path}__icontains": word})
        targets = targets.filter(condition)
    return targets.filter(**{FILTER_FIELDS[name]: value for name, value in names.items() if value})


def filter_options(rows: Iterable[Sequence[str]]) -> dict[str, list[str]]:
    """Return the values to filter by, at most `MAX_OPTIONS` each, from rows of `FILTER_FIELDS`."""
    columns = [set(column) for column in zip(*rows, strict=True)] or [set() for _ in FILTER_FIELDS]
    return {
        name: sorted(column, key=str.casefold)[:MAX_OPTIONS]
        for name, column in zip(FILTER_FIELDS, columns, strict=True)
    }
