"""New Request, its review, Request again, and the list of requests created together."""

import re
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_list_or_404, get_object_or_404, redirect, render, resolve_url
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.flows.policies import FlowApprovers, approvers_of
from accessflows.models import AccessFlow
from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import format_duration, parse_duration
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.types import PortalRequest
from mfa.verification.window import stored_window
from requests_app.exceptions import RequestRefused
from requests_app.forms import RequestForm
from requests_app.models import AccessRequest, Status
from requests_app.policies import can_request_again
from requests_app.presenters.request import progress_token, request_rows
from requests_app.selectors import own_requests
from requests_app.submission.evaluation import all_refusals, evaluate_all, refusals_of_text
from requests_app.submission.favorites import set_favorite
from requests_app.submission.preview import preview_request
from requests_app.submission.quick_picks import quick_picks
from requests_app.submission.selection import (
    MAX_TARGETS,
    Selection,
    catalog_page,
    parse_selection,
    selection_of_request,
)
from requests_app.submission.services import submit_requests
from requests_app.views.responses import needs_of, redirect_to_verification

DEFAULT_DURATION = "1h"
MAX_LIMITS = 3  # named below the duration
USUAL_DURATIONS = ("30 min", "1 h", "2 h", "4 h", "8 h")
KEPT_IN_ADDRESS = (
    *("q", "flow", "integration", "resource", "permission"),
    *("page", "target", "duration"),
)
SUBMISSION_KEY = re.compile(r"[\w-]{16,64}", re.ASCII)


@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: PortalRequest) -> HttpResponse:
    """Select targets and submit. Without script a review page comes between the two."""
    is_submitted = request.method == "POST"
    data = request.POST if is_submitted else request.GET
    selection = parse_selection(request.user, data.getlist("target"))
    if not is_submitted:
        initial = {
            "duration": data.get("duration") or DEFAULT_DURATION,
            "ticket": data.get("ticket", ""),
            **kept_words(request, "justification", "ticket"),
        }
        return _select_or_review(request, selection, RequestForm(initial=initial), status=200)
    form = _bound_form(data, selection)
    if form.is_valid():
        completed = replace(selection, **form.cleaned_data)
        if len(completed.flows) > 1 and data.get("seen") != completed.digest:
            return _review(request, selection, form, status=200)
        if response := _submit(request, form, completed):
            return response
    else:
        _add_refusals(request, form, selection)
    return _select_or_review(request, selection, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: PortalRequest, pk: int) -> HttpResponse:
    """Request the same again: only the justification is new, and everything is evaluated anew."""
    original = get_object_or_404(own_requests(request.user), pk=pk)
    if not can_request_again(original, request.user):
        return redirect("requests:detail", pk=pk)
    selection = selection_of_request(original, request.user)
    duration = min([original.duration, *(flow.max_duration for flow in selection.flows)])
    initial = {"duration": format_duration(duration), "ticket": original.ticket}
    if request.method != "POST":
        form = RequestForm(initial=initial | kept_words(request, "justification", "ticket"))
        return _review(request, selection, form, status=200, original=original)
    text = {name: request.POST.get(name, "") for name in ("justification", "ticket")}
    form = _bound_form(initial | text, selection)
    if form.is_valid():
        completed = replace(selection, **form.cleaned_data | {"duration": duration})
        if response := _submit(request, form, completed):
            return response
    else:
        _add_refusals(request, form, selection)
    return _review(request, selection, form, status=422, original=original)


@require_POST
def favorite(request: PortalRequest, pk: int, *, is_favorite: bool) -> HttpResponse:
    """Mark a flow as favorite or not, and return to New Request with what was selected."""
    flow = get_object_or_404(AccessFlow.objects.requestable_by(request.user), pk=pk)
    set_favorite(
        actor=request.user,
        flow=flow,
        is_favorite=is_favorite,
        client_info=ClientInfo.of(request),
    )
    query = [
        (name, value)
        for name in KEPT_IN_ADDRESS
        for value in request.POST.getlist(name)[:MAX_TARGETS]
        if value
    ]
    return redirect(f"{resolve_url('requests:new')}?{urlencode(query)}")


@require_GET
def submitted(request: PortalRequest) -> HttpResponse:
    """List the requests that were created together."""
    ids = [text for text in request.GET.getlist("of") if text.isascii() and text.isdigit()]
    pks = [int(text) for text in ids[:MAX_TARGETS] if len(text) <= 18]
    requests = get_list_or_404(own_requests(request.user).order_by("pk"), pk__in=pks)
    context = {
        "rows": request_rows(requests, request.user, timezone.now()),
        "progress": progress_token(requests),
        "pending_mfa": sum(created.status == Status.PENDING_MFA for created in requests),
    }
    return render(request, "requests_app/submitted.html", context)


def _bound_form(data: Any, selection: Selection) -> RequestForm:
    flows = selection.flows
    needs_justification = not flows or any(flow.require_justification for flow in flows)
    form = RequestForm(data, needs_justification=needs_justification)
    if selection.error or not selection.targets:
        form.add_error("target", selection.error or "Select what you need.")
    return form


def _add_refusals(request: PortalRequest, form: RequestForm, selection: Selection) -> None:
    """Add what else is wrong with an invalid form, so that everything is shown at once."""
    valid = replace(selection, **form.cleaned_data)
    if not valid.targets:
        form.add_refusals(refusals_of_text(valid))
        return
    evaluations = evaluate_all(
        requester=request.user,
        selections=valid.per_flow(),
        verification=request.mfa.verification,
        now=timezone.now(),
    )
    form.add_refusals(all_refusals(evaluations))


def _submit(request: PortalRequest, form: RequestForm, selection: Selection) -> HttpResponse | None:
    try:
        requests = submit_requests(
            actor=request.user,
            selection=selection,
            window=stored_window(request),
            client_info=ClientInfo.of(request),
            key=_submission_key(request),
        )
    except RequestRefused as refusal:
        form.add_refusals(refusal.refusals)
        return None
    return _redirect_after_submission(request, requests)


def _redirect_after_submission(
    request: PortalRequest, requests: list[AccessRequest]
) -> HttpResponse:
    pending_mfa = [created for created in requests if created.status == Status.PENDING_MFA]
    if pending_mfa and not request.mfa.enrolled:
        names = ", ".join(created.reference for created in pending_mfa)
        verb = "is" if len(pending_mfa) == 1 else "are"
        until = relative_datetime(pending_mfa[0].pending_until)
        messages.warning(
            request, f"{names} {verb} waiting for you to set up MFA and enter a code until {until}."
        )
    if len(requests) > 1:
        query = urlencode([("of", created.pk) for created in requests])
        next_url = f"{resolve_url('requests:submitted')}?{query}"
    else:
        next_url = resolve_url("requests:detail", pk=requests[0].pk)
    if pending_mfa:
        return redirect_to_verification(request, next_url, needs=needs_of(pending_mfa))
    if len(requests) == 1:
        sentences = {
            Status.PENDING_APPROVAL: f"{requests[0].reference} was sent to its approvers.",
            Status.GRANTING: f"{requests[0].reference}: access is being provisioned.",
        }
        if sentence := sentences.get(Status(requests[0].status)):  # one sent twice may be further
            messages.success(request, sentence)
    return redirect(next_url)


def _submission_key(request: PortalRequest) -> str:
    """Return the key the form came with, "" if it has none."""
    key = request.POST.get("submission", "")
    return key if SUBMISSION_KEY.fullmatch(key) else ""


def _select_or_review(
    request: PortalRequest, selection: Selection, form: RequestForm, *, status: int
) -> HttpResponse:
    data = request.POST if request.method == "POST" else request.GET
    if data.get("step") == "review":
        if selection.targets and _duration_in(form) is not None:
            return _review(request, selection, form, status=status)
        if not form.is_bound:
            messages.warning(request, "Select what you need, and for how long.")
    context = _preview_context(request, selection, form) | {
        "catalog": catalog_page(request.user, data, selection),
        "max_targets": MAX_TARGETS,
        "usual_durations": _usual_durations(selection),
        "picks": quick_picks(request.user),
    }
    return render(request, "requests_app/new_request.html", context, status=status)


def _usual_durations(selection: Selection) -> list[tuple[str, bool]]:
    """Return the usual durations, and whether each is longer than what is selected allows."""
    longest = selection.longest
    return [
        (text, longest is not None and parse_duration(text) > longest) for text in USUAL_DURATIONS
    ]


def _review(
    request: PortalRequest,
    selection: Selection,
    form: RequestForm,
    *,
    status: int,
    original: AccessRequest | None = None,
) -> HttpResponse:
    context = _preview_context(request, selection, form) | {"original": original}
    return render(request, "requests_app/review_request.html", context, status=status)


def _preview_context(
    request: PortalRequest, selection: Selection, form: RequestForm
) -> dict[str, Any]:
    duration = _duration_in(form)
    selection.prefetch_approvers()
    timed = replace(selection, duration=duration) if duration else Selection()
    return {
        "form": form,
        "selection": selection,
        "previews": _previews(request, timed),
        "seen": timed.digest if timed.targets else "",
        "submission": _submission_key(request) or secrets.token_urlsafe(18),
        "limits": [(flow.name, flow.max_duration) for flow in selection.flows[:MAX_LIMITS]],
        "select_url": _select_url(selection, duration),
    }


def _select_url(selection: Selection, duration: timedelta | None) -> str:
    """Return the address of New Request with all that is selected."""
    query = [("target", str(target.pk)) for target in selection.targets]
    query += [("duration", format_duration(duration))] if duration else []
    return f"{resolve_url('requests:new')}?{urlencode(query)}"


def _previews(request: PortalRequest, selection: Selection) -> list[dict[str, Any]]:
    user, window, now = request.user, request.mfa, timezone.now()
    parts = selection.per_flow()
    if not parts:
        return []
    evaluations = evaluate_all(
        requester=user, selections=parts, verification=window.verification, now=now
    )
    approvers = approvers_of(evaluation.flow for evaluation in evaluations if evaluation.flow)
    previews = []
    for evaluation in evaluations:
        [flow], duration = evaluation.selection.flows, evaluation.selection.duration
        is_shorter = duration < selection.duration
        note = f"{flow}: maximum {format_duration(duration)}." if is_shorter else ""
        of_flow = approvers.get(flow.pk, FlowApprovers())
        previews.append(preview_request(evaluation, of_flow, user, window, now, note=note))
    return previews


def _duration_in(form: RequestForm) -> timedelta | None:
    """Return the duration as it stands in the form, None if it cannot be read."""
    try:
        return parse_duration(str(form["duration"].value() or "")[:40])
    except ValueError:
        return None
