"""Which grants the Active Access page lists, the soonest end first, and what a revocation covers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from accessflows.models import Integration
from apono_portal.core.db.keyset import EXACT_COUNT_LIMIT, PAGE_SIZE, following
from requests_app.grants.revocation import ENDABLE
from requests_app.models import AccessRequest, Grant, RequestedTarget
from requests_app.querysets import AccessRequestQuerySet, GrantQuerySet

PANEL_SIZE = 5


@dataclass(frozen=True)
class ActiveAccessFilters:
    """Which grants are listed. Empty fields do not filter; the ids are those of "Show all" links."""

    requester: str = ""
    flow: str = ""
    integration: str = ""
    permission: str = ""
    access: str = ""
    ends_before: datetime | None = None
    user_id: int | None = None
    flow_id: int | None = None
    integration_id: int | None = None


class Place(NamedTuple):
    """A row's place in the list: its deadline, then its key."""

    deadline: datetime
    pk: UUID

    def __str__(self) -> str:
        return f"{self.deadline.isoformat()}_{self.pk.hex}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Parse what `__str__` returns. Raises ValueError."""
        deadline, _, key = text.partition("_")
        place = cls(datetime.fromisoformat(deadline), UUID(hex=key))
        if place.deadline.tzinfo is None:
            raise ValueError("The deadline has no time zone.")
        return place


@dataclass(frozen=True)
class GrantPage:
    """Grants, the soonest end first, and the places that the pages on either side start from."""

    rows: list[Grant]
    sooner_than: Place | None
    later_than: Place | None


def filter_grants(filters: ActiveAccessFilters) -> GrantQuerySet:
    """Return the grants that are not contained yet and match."""
    conditions = Q()
    for word in filters.requester.split():
        conditions &= Q(request__requester_label__icontains=word)
    if filters.flow:
        conditions &= Q(request__flow_name__icontains=filters.flow)
    if filters.integration:
        conditions &= Q(integration_name__icontains=filters.integration)
    if filters.permission:
        conditions &= Q(permission__icontains=filters.permission) | Q(
            resource__icontains=filters.permission
        )
    if filters.access:
        conditions &= Q(request__break_glass=True)
    if filters.ends_before:
        conditions &= Q(deadline__lt=filters.ends_before)
    if filters.user_id is not None:
        conditions &= Q(request__requester=filters.user_id)
    if filters.flow_id is not None:
        conditions &= Q(request__flow=filters.flow_id)
    if filters.integration_id is not None:
        conditions &= Q(integration=filters.integration_id)
    return Grant.objects.uncontained().filter(conditions)


def page_of_grants(
    grants: GrantQuerySet, *, before: Place | None, after: Place | None
) -> GrantPage:
    """Return the page that ends sooner than ``before``, later than ``after``, or the first."""
    related = grants.select_related("request").prefetch_related("request__decisions")
    if place := after or before:
        beyond = following(
            related,
            before=before.pk if before and not after else None,
            after=after.pk if after else None,
            leading=("deadline", place.deadline),
        )
    else:
        beyond = related.order_by("deadline", "pk")
    rows = list(beyond[: PAGE_SIZE + 1])
    has_more, rows = len(rows) > PAGE_SIZE, rows[:PAGE_SIZE]
    if before and not after:
        has_sooner, has_later, rows = has_more, True, rows[::-1]
    else:
        has_sooner, has_later = after is not None, has_more
    return GrantPage(
        rows,
        Place(rows[0].deadline, rows[0].pk) if rows and has_sooner else None,
        Place(rows[-1].deadline, rows[-1].pk) if rows and has_later else None,
    )


def count_text_of(grants: GrantQuerySet) -> str:
    """Return "12 grants", or "more than 1,000 grants"; no more are counted."""
    number = grants.order_by("deadline")[: EXACT_COUNT_LIMIT + 1].count()
    if number > EXACT_COUNT_LIMIT:
        return f"more than {EXACT_COUNT_LIMIT:,} grants"
    return f"{number:,} grant{'' if number == 1 else 's'}"


class Selection(NamedTuple):
    """Requests named for revocation: those whose access can be revoked, and the others."""

    revocable: list[AccessRequest]
    others: list[AccessRequest]


def selection_of(request_ids: Collection[int]) -> Selection:
    requests = AccessRequest.objects.filter(pk__in=request_ids).order_by("pk")
    listed = list(requests.prefetch_related("targets"))
    revocable = [request for request in listed if request.status in ENDABLE]
    return Selection(revocable, [request for request in listed if request not in revocable])


def revocable_on(integration: Integration) -> AccessRequestQuerySet:
    """Return requests whose access on an integration is active or being provisioned."""
    targets = RequestedTarget.objects.filter(request=OuterRef("pk"), integration=integration)
    return AccessRequest.objects.filter(Exists(targets), status__in=ENDABLE)


@dataclass(frozen=True)
class AccessOnIntegration:
    """How much access a revocation on an integration ends; ``elsewhere`` are grants on other targets."""

    users: int
    requests: int
    grants: int
    elsewhere: int


def access_on(integration: Integration) -> AccessOnIntegration:
    requests = revocable_on(integration).order_by()
    targets = RequestedTarget.objects.filter(request__in=requests.values("pk"))
    grants = targets.filter(integration=integration).count()
    return AccessOnIntegration(
        users=requests.values("requester_label").distinct().count(),
        requests=requests.count(),
        grants=grants,
        elsewhere=targets.count() - grants,
    )
