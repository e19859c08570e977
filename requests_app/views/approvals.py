"""Approvals: the queue, the decision, the word."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from apono_portal.core.web.client import ClientInfo
from mfa.exceptions import WindowClosed
from requests_app.approvals.review import approver_reason, mark_of, requester_history
from requests_app.approvals.selectors import (
    Queue,
    decided_by,
    queue_of,
    request_to_decide,
    rights_of,
)
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.forms import DecisionForm
from requests_app.models import AccessRequest, Decision, Status
from requests_app.presenters.request import Evidence, asked_by, decision_rows
from requests_app.selectors import read_targets
from requests_app.views.responses import conflict, to_step_up

DRAFT = "draft-reason-{pk}"


@require_GET
def approvals(request: HttpRequest) -> HttpResponse:
    """The queue, with its oldest request open beside it; or what the person has decided."""
    if request.GET.get("show") == "decided":
        context = {"decided": decision_rows(decided_by(request.user)[:50])}
        return render(request, "requests_app/decided.html", context)
    queue = queue_of(request.user)
    chosen = queue.oldest[0] if queue.oldest else None
    return render(request, "requests_app/approvals.html", _context(request, queue, chosen, None))


@require_GET
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    queue = queue_of(request.user)
    found = queue.find(pk) or _find(request, pk)
    if found.status != Status.PENDING_APPROVAL:
        return redirect("requests:detail", pk=pk)
    return render(request, "requests_app/approvals.html", _context(request, queue, found, None))


@require_POST
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    return _give(request, _find(request, pk), Decision.Verdict.APPROVE)


@require_POST
def reject(request: HttpRequest, pk: int) -> HttpResponse:
    return _give(request, _find(request, pk), Decision.Verdict.REJECT)


def _give(request: HttpRequest, found: AccessRequest, verdict: Decision.Verdict) -> HttpResponse:
    form = DecisionForm(request.POST)
    if not form.is_valid():
        return _again(request, found, form)
    try:
        decided = decide_request(
            actor=request.user,
            request=found,
            verdict=verdict,
            reason=form.cleaned_data["reason"],
            fingerprint=form.cleaned_data["fingerprint"],
            shown=form.cleaned_data["shown"],
            window=request.mfa.window,  # type: ignore[attr-defined]
            client_info=ClientInfo.of(request),
        )
    except WindowClosed:
        request.session[DRAFT.format(pk=found.pk)] = form.cleaned_data["reason"][:1000]
        messages.warning(request, "Deciding on protected access needs your own code. Decide after.")
        return to_step_up(request, found, page="decide")
    except RequestRefused as refused:
        form.add_error(refused.field or None, refused.sentence)
        return _again(request, found, form)
    except Conflict as refused:
        return conflict(request, refused.sentence, found)
    messages.success(request, _said(decided, verdict))
    return redirect("requests:approvals")


def _said(decided: AccessRequest, verdict: Decision.Verdict) -> str:
    if verdict == Decision.Verdict.REJECT:
        return f"{decided.reference} was rejected."
    if decided.status == Status.PENDING_APPROVAL:
        return f"You approved {decided.reference}. It waits for others."
    return f"{decided.reference} was approved and is being opened."


def _again(request: HttpRequest, found: AccessRequest, form: DecisionForm) -> HttpResponse:
    context = _context(request, queue_of(request.user), found, form)
    return render(request, "requests_app/approvals.html", context, status=422)


def _find(request: HttpRequest, pk: int) -> AccessRequest:
    found = request_to_decide(request.user, pk)
    if found is None:
        raise Http404
    return found


def _context(
    request: HttpRequest, queue: Queue, chosen: AccessRequest | None, form: DecisionForm | None
) -> dict[str, Any]:
    request.approvals_waiting = queue.waiting  # type: ignore[attr-defined]
    if chosen is None:
        return {"chosen": None}
    now = timezone.now()
    history = requester_history(chosen, request.user, now)
    read_targets([chosen, *queue.oldest, *history.last])
    rights = rights_of(chosen)
    initial = {
        "fingerprint": chosen.flow_fingerprint,
        "shown": mark_of(chosen, rights),
        "reason": request.session.pop(DRAFT.format(pk=chosen.pk), ""),
    }
    return {
        "queue": asked_by(queue.oldest),
        "left": queue.waiting - len(queue.oldest),
        "chosen": asked_by([chosen])[0],
        "evidence": Evidence.of_request(chosen, now),
        "rights": rights,
        "why": approver_reason(chosen, request.user),
        "decisions": list(chosen.decisions.all()),
        "history": history,
        "last": asked_by(history.last),
        "form": form or DecisionForm(initial=initial),
        "needs_code": chosen.require_mfa and not request.mfa.is_open,  # type: ignore[attr-defined]
    }
