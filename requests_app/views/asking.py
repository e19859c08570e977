"""New Request."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from audit.origin import Origin
from requests_app.choices import choices_of
from requests_app.exceptions import RequestRefused
from requests_app.forms import RequestForm
from requests_app.models import AccessRequest, Status
from requests_app.selectors import flows_to_choose_from
from requests_app.services import submit_request
from requests_app.templatetags.moments import moment
from requests_app.views.answers import to_step_up


@require_http_methods(["GET", "HEAD", "POST"])
def new_request(request: HttpRequest) -> HttpResponse:
    flows = flows_to_choose_from(request.user)
    asked_for = {"flow": request.GET.get("flow"), "duration": request.GET.get("duration") or "1h"}
    form = RequestForm(request.POST or None, flows=flows, initial=asked_for)
    if request.method == "POST" and form.is_valid():
        made = _submit(request, form)
        if made is not None:
            return _lead_on(request, made)
    context: dict[str, Any] = {
        "form": form,
        "choices": choices_of(form, request.mfa),  # type: ignore[attr-defined]
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "requests_app/new_request.html", context, status=status)


def _submit(request: HttpRequest, form: RequestForm) -> AccessRequest | None:
    asked = form.cleaned_data
    try:
        return submit_request(
            actor=request.user,
            flow=asked["flow"],
            target_ids=asked["target_ids"],
            duration=asked["duration"],
            justification=asked["justification"],
            window=request.mfa.window,  # type: ignore[attr-defined]
            origin=Origin.of(request),
        )
    except RequestRefused as refused:
        form.refuse(refused)
        return None


def _lead_on(request: HttpRequest, made: AccessRequest) -> HttpResponse:
    if made.status == Status.PENDING_MFA:
        until = moment(made.pending_until)
        if not request.mfa.enrolled:  # type: ignore[attr-defined]
            messages.warning(
                request,
                f"{made.reference} is parked until {until}. Set up MFA, then enter a code.",
            )
        return to_step_up(request, made)
    said = {
        Status.PENDING_APPROVAL: f"{made.reference} was sent to its approvers.",
        Status.GRANTING: f"{made.reference} is being opened.",
    }
    messages.success(request, said[Status(made.status)])
    return redirect("requests:detail", pk=made.pk)
