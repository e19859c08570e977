"""What saving a flow would do, before it is saved: beside the form, or as the form with its review.

It is in this app because it includes pending requests. It writes nothing.
"""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST

from accessflows.exceptions import InvalidInput
from accessflows.flows.forms import FlowForm
from accessflows.flows.impact import DraftImpact, Impact, impact_of_draft, impact_on
from accessflows.flows.validation import check_terms
from accessflows.flows.views import form_addresses
from accessflows.form_fields import add_refusal
from accessflows.models import AccessFlow
from accessflows.requesters import users_meeting
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from requests_app.deletion.flows import flow_usage, requests_voided_by


@admins_only
@require_POST
def preview_new(request: PortalRequest) -> HttpResponse:
    return _preview(request, None)


@admins_only
@require_POST
def preview(request: PortalRequest, pk: int) -> HttpResponse:
    return _preview(request, get_object_or_404(AccessFlow, pk=pk))


def _preview(request: PortalRequest, flow: AccessFlow | None) -> HttpResponse:
    form = FlowForm(request.POST, flow=flow)
    draft = _draft_impact(form, flow)
    context: dict[str, object] = {
        "form": form,
        "flow": flow,
        "draft": draft,
        "impact": draft.reach if draft else _impact(form),
        **form_addresses(flow),
    }
    if draft and flow:
        context |= {"use": flow_usage(flow), "voided": requests_voided_by(flow, draft.fingerprint)}
    if request.htmx:
        return render(request, "requests_app/flow_impact.html", context)
    status = 422 if form.errors else 200
    return render(request, "accessflows/flow_form.html", context, status=status)


def _draft_impact(form: FlowForm, flow: AccessFlow | None) -> DraftImpact | None:
    """Return the impact of a valid form; otherwise its errors are on the form."""
    if not form.is_valid():
        return None
    draft = form.terms()
    try:
        check_terms(draft, flow=flow)
    except InvalidInput as refusal:
        add_refusal(form, refusal)
        return None
    return impact_of_draft(draft, flow)


def _impact(form: FlowForm) -> Impact | None:
    """Return whom the conditions match, as far as they are filled in."""
    sets = form.cleaned_data.get("requesters")
    return impact_on(users_meeting(sets)) if sets else None
