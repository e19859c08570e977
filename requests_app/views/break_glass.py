"""Reviews of break-glass access: the queue, one review, and lifting the pause after it."""

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accessflows.acting import action_context
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from requests_app.break_glass.forms import ReviewForm
from requests_app.break_glass.selectors import (
    MAX_ROWS,
    break_glass_requests,
    review_due_at,
    review_history,
    reviews_done,
    to_review,
)
from requests_app.break_glass.services import lift_pause, review_access
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.models import AccessRequest, BreakGlassReview
from requests_app.presenters.request import Evidence, RequestSummary

Verdict = BreakGlassReview.Verdict


@dataclass(frozen=True)
class ReviewRow(RequestSummary):
    """Break-glass access in the queue; ``due_at`` is empty while it is active."""

    due_at: datetime | None
    is_overdue: bool

    @classmethod
    def of(cls, request: AccessRequest, now: datetime) -> "ReviewRow":
        due_at = review_due_at(request)
        return cls(request, due_at, is_overdue=due_at is not None and due_at < now)


@dataclass(frozen=True)
class ReviewedRow(RequestSummary):
    """A review in the list of those done."""

    review: BreakGlassReview


@require_GET
@readers_only
def reviews(request: PortalRequest) -> HttpResponse:
    """Show the queue with the oldest access under review, or the reviews that are done."""
    if request.GET.get("show") == "done":
        done = [ReviewedRow(review.request, review) for review in reviews_done()[:MAX_ROWS]]
        return render(request, "requests_app/reviewed.html", {"rows": done})
    queue = to_review()
    if not queue:
        return render(request, "requests_app/reviews.html", {"reviewed": None})
    return _page(request, queue, queue[0])


@require_GET
@readers_only
def review(request: PortalRequest, pk: int) -> HttpResponse:
    queue = to_review()
    queued = next((access_request for access_request in queue if access_request.pk == pk), None)
    return _page(request, queue, queued or get_object_or_404(break_glass_requests(), pk=pk))


@require_POST
@admins_only
def justify(request: PortalRequest, pk: int) -> HttpResponse:
    return _review(request, pk, Verdict.JUSTIFIED)


@require_POST
@admins_only
def refuse(request: PortalRequest, pk: int) -> HttpResponse:
    return _review(request, pk, Verdict.NOT_JUSTIFIED)


@require_POST
@admins_only
def lift(request: PortalRequest, pk: int) -> HttpResponse:
    paused = get_object_or_404(BreakGlassReview.objects.select_related("request"), request=pk)
    try:
        lift_pause(**action_context(request), review=paused)
    except (RequestRefused, Conflict) as refusal:
        messages.warning(request, refusal.sentence)
    else:
        messages.success(request, f"{paused.request.requester_label} can use break-glass again.")
    return redirect("requests:review", pk=pk)


def _review(request: PortalRequest, pk: int, verdict: BreakGlassReview.Verdict) -> HttpResponse:
    access_request = get_object_or_404(break_glass_requests(), pk=pk)
    form = ReviewForm(request.POST)
    if not form.is_valid():
        return _page(request, to_review(), access_request, form)
    try:
        review_access(
            **action_context(request),
            request=access_request,
            verdict=verdict,
            note=form.cleaned_data["note"],
        )
    except RequestRefused as refusal:
        form.add_error("note" if refusal.field else None, refusal.sentence)
        return _page(request, to_review(), access_request, form)
    except Conflict as conflict:
        messages.warning(request, conflict.sentence)
        return redirect("requests:review", pk=pk)
    messages.success(request, f"{access_request.reference} was reviewed: {verdict.label.lower()}.")
    return redirect("requests:reviews")


def _page(
    request: PortalRequest,
    queue: list[AccessRequest],
    reviewed: AccessRequest,
    form: ReviewForm | None = None,
) -> HttpResponse:
    now = timezone.now()
    row = ReviewRow.of(reviewed, now)
    done = BreakGlassReview.objects.filter(request=reviewed).first()
    is_own = reviewed.requester_id == request.user.pk
    may_review = request.user.is_account_admin and not is_own
    context: dict[str, object] = {
        "queue": [ReviewRow.of(access_request, now) for access_request in queue],
        "reviewed": row,
        "review": done,
        "evidence": Evidence.of_request(reviewed, now),
        "grants": list(reviewed.grants.all()),
        "history": review_history(reviewed, now),
        "is_own": is_own,
        "may_lift": may_review and done is not None and done.is_pausing,
        "may_review": may_review and done is None and row.due_at is not None,
        "form": form or ReviewForm(initial=kept_words(request, "note")),
    }
    status = 422 if form else 200
    return render(request, "requests_app/reviews.html", context, status=status)
