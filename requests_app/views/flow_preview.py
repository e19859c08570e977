"""What saving a flow would do, before it is saved: beside the form, or as the form with its review.

It stands on this floor because it speaks of requests that wait. It takes a form and writes nothing.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from accessflows.exceptions import InvalidInput
from accessflows.flows.forms import FlowForm
from accessflows.flows.impact import impact_of_draft, impact_on
from accessflows.flows.selectors import active_users_among
from accessflows.flows.validation import check_terms
from accessflows.form_fields import add_refusal
from accessflows.models import AccessFlow
from apono_portal.core.web.permissions import admins_only
from mfa.decorators import mfa_required_if_enrolled
from requests_app.deletion.flows import use_of, voided_by


@admins_only
@mfa_required_if_enrolled
@require_POST
def preview_new(request: HttpRequest) -> HttpResponse:
    return _preview(request, None)


@admins_only
@mfa_required_if_enrolled
@require_POST
def preview(request: HttpRequest, pk: int) -> HttpResponse:
    return _preview(request, get_object_or_404(AccessFlow, pk=pk))


def _preview(request: HttpRequest, flow: AccessFlow | None) -> HttpResponse:
    form = FlowForm(request.POST, flow=flow)
    draft = _impact(form, flow)
    context = {"form": form, "flow": flow, "draft": draft, "impact": _reaches(form)}
    if draft and flow:
        context |= {"use": use_of(flow), "voided": voided_by(flow, draft.fingerprint)}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, "requests_app/flow_impact.html", context)
    status = 422 if form.errors else 200
    return render(request, "accessflows/flow_form.html", context, status=status)


def _impact(form: FlowForm, flow: AccessFlow | None) -> Any:
    """Return the impact of a form that holds; of another the errors are on the form."""
    if not form.is_valid():
        return None
    draft = form.terms()
    try:
        check_terms(draft, flow=flow)
    except InvalidInput as refused:
        add_refusal(form, refused)
        return None
    return impact_of_draft(draft, flow)


def _reaches(form: FlowForm) -> Any:
    """Return whom the form reaches, as far as it is filled in."""
    chosen = form.cleaned_data
    return impact_on(
        active_users_among(chosen.get("requester_users", ()), chosen.get("requester_groups", ()))
    )
