"""Break-glass access as its review shows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import QuerySet

from requests_app.models import AccessRequest, BreakGlassReview

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from requests_app.querysets import AccessRequestQuerySet

REVIEW_WITHIN = timedelta(hours=24)
HISTORY_PERIOD = timedelta(days=90)
MAX_ROWS = 50


@dataclass(frozen=True)
class ReviewHistory:
    """The requester's break-glass access of the last 90 days apart from the one under review."""

    used: int
    not_justified: int


def to_review() -> list[AccessRequest]:
    """Return break-glass access without a review, the oldest first."""
    requests = AccessRequest.objects.to_review().prefetch_related("targets")
    return list(requests.order_by("starts_at", "pk")[:MAX_ROWS])


def count_to_review(user: "User") -> int:
    """Count the break-glass access that nobody has reviewed; only admins and auditors see it."""
    return AccessRequest.objects.to_review().count() if user.can_read_everything else 0


def reviews_done() -> QuerySet[BreakGlassReview]:
    """Return reviews, newest first."""
    return BreakGlassReview.objects.select_related("request").prefetch_related("request__targets")


def break_glass_requests() -> "AccessRequestQuerySet":
    """Return break-glass access that was active at any time."""
    return AccessRequest.objects.filter(break_glass=True, starts_at__isnull=False)


def review_history(request: AccessRequest, now: datetime) -> ReviewHistory:
    others = break_glass_requests().filter(
        requester=request.requester_id or 0, starts_at__gt=now - HISTORY_PERIOD
    )
    others = others.exclude(pk=request.pk)
    not_justified = others.filter(review__verdict=BreakGlassReview.Verdict.NOT_JUSTIFIED)
    return ReviewHistory(others.count(), not_justified.count())


def review_due_at(request: AccessRequest) -> datetime | None:
    """Return until when the access is to be reviewed; None while it is active."""
    return request.ended_at + REVIEW_WITHIN if request.ended_at else None
