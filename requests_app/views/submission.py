"""New Request, its review, Request again, and the page that says what was made."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.formatting.durations import format_duration, parse_duration
from apono_portal.core.web.client import ClientInfo
from mfa.verification.window import state_of, stored_window
from requests_app.exceptions import RequestRefused
from requests_app.forms import RequestForm
from requests_app.models import AccessRequest, Status
from requests_app.policies import may_ask_again
from requests_app.presenters.request import moving_mark, rows_of
from requests_app.selectors import own_requests
from requests_app.submission.evaluation import RequestDraft, Words, evaluate
from requests_app.submission.preview import RequestPreview, preview_request, seal_of
from requests_app.submission.selection import (
    MOST_TARGETS,
    Selection,
    catalog_page,
    parse_selection,
    selection_of_request,
)
from requests_app.submission.services import submit_requests
from requests_app.views.responses import to_code

USUAL_DURATION = "1h"
USUAL_DURATIONS = ("30 min", "1 h", "2 h", "4 h", "8 h")


@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: HttpRequest) -> HttpResponse:
    """Choose and send. Without script a review page comes between the two."""
    sent = request.method == "POST"
    data = request.POST if sent else request.GET
    selection = parse_selection(request.user, data.getlist("target"))
    if not sent:
        told = {
            "duration": data.get("duration") or USUAL_DURATION,
            "ticket": data.get("ticket", ""),
        }
        form = RequestForm(initial=told)
        return _choose_or_review(request, selection, form, status=200)
    form = RequestForm(data, wants_words=_wants_words(selection))
    _refuse_wish(form, selection)
    if form.is_valid():
        drafts = selection.drafts(form.cleaned_data["duration"])
        if len(drafts) > 1 and data.get("seen") != seal_of(drafts):
            return _review(request, selection, form, status=200)
        if answer := _send(request, form, drafts):
            return answer
    return _choose_or_review(request, selection, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the same once more: only the reason is new, and all is judged anew."""
    found = own_requests(request.user).filter(pk=pk).first()
    if found is None:
        raise Http404
    if not may_ask_again(found, request.user):
        return redirect("requests:detail", pk=pk)
    selection = selection_of_request(found)
    duration = min([found.duration, *(flow.max_duration for flow in selection.flows)])
    told = {"duration": format_duration(duration), "ticket": found.ticket}
    if request.method != "POST":
        return _review(request, selection, RequestForm(initial=told), status=200, again=found)
    said = {name: request.POST.get(name, "") for name in ("justification", "ticket")}
    form = RequestForm(told | said, wants_words=_wants_words(selection))
    _refuse_wish(form, selection)
    if form.is_valid() and (answer := _send(request, form, selection.drafts(duration))):
        return answer
    return _review(request, selection, form, status=422, again=found)


@require_GET
def made(request: HttpRequest) -> HttpResponse:
    """List the requests that were made at once."""
    numbers = [text for text in request.GET.getlist("of") if text.isascii() and text.isdigit()]
    pks = [int(text) for text in numbers[:MOST_TARGETS] if len(text) <= 18]
    found = list(own_requests(request.user).filter(pk__in=pks).order_by("pk")) if pks else []
    if not found:
        raise Http404
    context = {
        "rows": rows_of(found, request.user, timezone.now()),
        "moving": moving_mark(found),
        "pending_mfa": sum(each.status == Status.PENDING_MFA for each in found),
    }
    return render(request, "requests_app/submitted.html", context)


def _wants_words(selection: Selection) -> bool:
    return any(flow.require_justification for flow in selection.flows) or not selection.flows


def _refuse_wish(form: RequestForm, selection: Selection) -> None:
    if selection.error or not selection.targets:
        form.add_error(None, selection.error or "Choose what you need.")


def _send(
    request: HttpRequest, form: RequestForm, drafts: list[RequestDraft]
) -> HttpResponse | None:
    asked = form.cleaned_data
    try:
        found = submit_requests(
            actor=request.user,
            drafts=drafts,
            words=Words(asked["justification"], asked["ticket"]),
            window=stored_window(request),
            client_info=ClientInfo.of(request),
        )
    except RequestRefused as refused:
        form.refuse(refused)
        return None
    return _lead_on(request, found)


def _lead_on(request: HttpRequest, found: list[AccessRequest]) -> HttpResponse:
    pending_mfa = [each for each in found if each.status == Status.PENDING_MFA]
    names = ", ".join(each.reference for each in pending_mfa)
    if pending_mfa and not state_of(request).enrolled:
        verb = "is" if len(pending_mfa) == 1 else "are"
        until = relative_datetime(pending_mfa[0].pending_until)
        sentence = f"{names} {verb} pending_mfa until {until}. Set up MFA, then enter a code."
        messages.warning(request, sentence)
    if len(found) == 1:
        return _lead_on_with(request, found[0])
    listed = f"{resolve_url('requests:made')}?{urlencode([('of', each.pk) for each in found])}"
    if pending_mfa:
        return to_code(request, listed)
    return redirect(listed)


def _lead_on_with(request: HttpRequest, only: AccessRequest) -> HttpResponse:
    if only.status == Status.PENDING_MFA:
        return to_code(request, resolve_url("requests:detail", pk=only.pk))
    said = {
        Status.PENDING_APPROVAL: f"{only.reference} was sent to its approvers.",
        Status.GRANTING: f"{only.reference} is being opened.",
    }
    messages.success(request, said[Status(only.status)])
    return redirect("requests:detail", pk=only.pk)


def _choose_or_review(
    request: HttpRequest, selection: Selection, form: RequestForm, *, status: int
) -> HttpResponse:
    data = request.POST if request.method == "POST" else request.GET
    if data.get("step") == "review":
        if selection.targets and _duration_in(form) is not None:
            return _review(request, selection, form, status=status)
        if not form.is_bound:
            messages.warning(request, "Choose what you need, and for how long.")
    context = _context(request, selection, form) | {
        "shelf": catalog_page(request.user, data, selection),
        "most": MOST_TARGETS,
        "usual_durations": USUAL_DURATIONS,
    }
    return render(request, "requests_app/new_request.html", context, status=status)


def _review(
    request: HttpRequest,
    selection: Selection,
    form: RequestForm,
    *,
    status: int,
    again: AccessRequest | None = None,
) -> HttpResponse:
    context = _context(request, selection, form) | {"again": again}
    return render(request, "requests_app/review_request.html", context, status=status)


def _context(request: HttpRequest, selection: Selection, form: RequestForm) -> dict[str, Any]:
    duration = _duration_in(form)
    selection.read_approvers()
    drafts = selection.drafts(duration) if duration else []
    return {
        "form": form,
        "selection": selection,
        "outlooks": _outlooks(request, drafts, duration or timedelta(0)),
        "seen": seal_of(drafts) if drafts else "",
        "choose": _address_of(selection, duration),
    }


def _address_of(selection: Selection, duration: timedelta | None) -> str:
    """The way back to choosing, with all that is chosen."""
    told = [("target", str(target.pk)) for target in selection.targets]
    told += [("duration", format_duration(duration))] if duration else []
    return f"{resolve_url('requests:new')}?{urlencode(told)}"


def _outlooks(
    request: HttpRequest, drafts: list[RequestDraft], wanted: timedelta
) -> list[RequestPreview]:
    window, now = state_of(request), timezone.now()
    found = []
    for draft in drafts:
        evaluation = evaluate(
            person=request.user, draft=draft, verified=window.is_open, words=None, now=now
        )
        less = draft.duration < wanted
        note = f"At most {format_duration(draft.duration)} through {draft.flow}." if less else ""
        found.append(preview_request(evaluation, request.user, window, now, note=note))
    return found


def _duration_in(form: RequestForm) -> timedelta | None:
    """Return the duration as it stands in the form, None while it is none."""
    try:
        return parse_duration(str(form["duration"].value() or "")[:40])
    except ValueError:
        return None
