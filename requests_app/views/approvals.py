"""Approvals: the queue, one request under review, and the decision on it."""

from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from mfa.verification.strength import is_usable
from requests_app.approvals.review import approver_reason, requester_history, review_digest
from requests_app.approvals.selectors import (
    MAX_QUEUE_ROWS,
    decisions_by,
    queue_of,
    request_to_decide,
    rights_of,
)
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.forms import DecisionForm
from requests_app.models import AccessRequest, Decision, Status
from requests_app.policies import DECISION
from requests_app.presenters.request import DecisionRow, Evidence, RequestSummary
from requests_app.views.kept_decision import (
    forget_decision,
    keep_decision,
    kept_decision,
    outcome_of,
)
from requests_app.views.responses import (
    conflict_response,
    needs_of,
    sentence_of,
    verify_for_request,
)

MAX_DECISIONS = 50


@require_GET
def approvals(request: PortalRequest) -> HttpResponse:
    """Show the queue with its oldest request under review, or the user's own decisions."""
    if request.GET.get("show") == "decided":
        decisions = decisions_by(request.user)[:MAX_DECISIONS]
        rows = [DecisionRow(decision.request, decision) for decision in decisions]
        return render(request, "requests_app/decided.html", {"rows": rows})
    queue = queue_of(request.user)
    if not queue:
        return render(request, "requests_app/approvals.html", {"reviewed": None})
    return _review(request, queue, queue[0])


@require_GET
def decide(request: PortalRequest, pk: int) -> HttpResponse:
    queue = queue_of(request.user)
    queued = next((access_request for access_request in queue if access_request.pk == pk), None)
    access_request = queued or _get_request_to_decide(request, pk)
    if access_request.status != Status.PENDING_APPROVAL:
        return redirect("requests:detail", pk=pk)
    return _review(request, queue, access_request)


@require_POST
def approve(request: PortalRequest, pk: int) -> HttpResponse:
    return _decide(request, _get_request_to_decide(request, pk), Decision.Verdict.APPROVE)


@require_POST
def reject(request: PortalRequest, pk: int) -> HttpResponse:
    return _decide(request, _get_request_to_decide(request, pk), Decision.Verdict.REJECT)


def _decide(
    request: PortalRequest, access_request: AccessRequest, verdict: Decision.Verdict
) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _review(request, queue_of(request.user), access_request, form, status=422)
    try:
        decided = decide_request(
            actor=request.user,
            request=access_request,
            verdict=verdict,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
            **form.cleaned_data,
        )
    except WindowClosed as error:
        keep_decision(request, access_request, verdict, form.cleaned_data)
        if sentence := sentence_of(error, ""):
            messages.warning(request, sentence)
        return verify_for_request(request, access_request, page="decide")
    except RequestRefused as refusal:
        form.add_error(refusal.field or None, refusal.sentence)
        return _review(request, queue_of(request.user), access_request, form, status=422)
    except Conflict as refusal:
        return conflict_response(request, refusal.sentence, access_request)
    forget_decision(request)
    messages.success(request, outcome_of(decided, verdict))
    return redirect("requests:approvals")


def _is_window_enough(request: PortalRequest, reviewed: AccessRequest) -> bool:
    verification = request.mfa.verification
    requirement = reviewed.mfa_requirement(DECISION)
    return verification is not None and is_usable(requirement, verification)


def _get_request_to_decide(request: PortalRequest, pk: int) -> AccessRequest:
    access_request = request_to_decide(request.user, pk)
    if access_request is None:
        raise Http404
    return access_request


def _review(
    request: PortalRequest,
    queue: list[AccessRequest],
    reviewed: AccessRequest,
    form: DecisionForm | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    if len(queue) < MAX_QUEUE_ROWS:
        request.approvals_waiting = len(queue)
    now = timezone.now()
    history = requester_history(reviewed, request.user, now)
    prefetch_related_objects([reviewed, *queue, *history.latest], "targets")
    rights, decision = rights_of(reviewed), kept_decision(request)
    initial = {
        "fingerprint": reviewed.flow_fingerprint,
        "digest": review_digest(reviewed, rights),
        "reason": decision.reason if decision and decision.request_id == reviewed.pk else "",
        **kept_words(request, "reason"),
    }
    context: dict[str, object] = {
        "queue": [RequestSummary(access_request) for access_request in queue],
        "reviewed": RequestSummary(reviewed),
        "evidence": Evidence.of_request(reviewed, now),
        "rights": rights,
        "reason": approver_reason(reviewed, request.user),
        "decisions": list(reviewed.decisions.all()),
        "history": history,
        "latest": [RequestSummary(access_request) for access_request in history.latest],
        "form": form or DecisionForm(initial=initial),
        "needs_code": reviewed.require_mfa and not _is_window_enough(request, reviewed),
        "needs": needs_of([reviewed]),
    }
    return render(request, "requests_app/approvals.html", context, status=status)
