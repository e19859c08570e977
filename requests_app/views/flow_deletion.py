"""Deleting an access flow, and the access that is revoked with it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accessflows.acting import action_context
from accessflows.exceptions import Refused
from accessflows.form_fields import add_refusal
from accessflows.models import AccessFlow
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from requests_app.deletion.flows import FlowUsage, delete_flow, flow_usage
from requests_app.exceptions import RequestRefused
from requests_app.forms import DeleteReasonForm


@admins_only
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    flow = get_object_or_404(AccessFlow, pk=pk)
    form = DeleteReasonForm(
        request.POST if request.method == "POST" else None,
        initial=kept_words(request, "reason"),
    )
    if form.is_bound and form.is_valid():
        try:
            usage = delete_flow(**action_context(request), flow=flow, **form.cleaned_data)
        except RequestRefused as refusal:
            form.add_error(refusal.field or None, refusal.sentence)
        except Refused as refusal:
            add_refusal(form, refusal)
        else:
            messages.success(request, f"{flow.name} was deleted. {_revoked_access(usage)}")
            return redirect("flows:list")
    context = {"flow": flow, "form": form, "use": flow_usage(flow)}
    status = 422 if form.errors else 200
    return render(request, "requests_app/flow_delete.html", context, status=status)


def _revoked_access(usage: FlowUsage) -> str:
    if not usage.live:
        return "No access was active through it."
    if usage.live == 1:
        return "The access that was active through it is being revoked."
    return f"{usage.live} grants that were active through it are being revoked."
