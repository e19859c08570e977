"""Deleting an access flow: what ends with it, and why."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accessflows.acting import action_context
from accessflows.models import AccessFlow
from apono_portal.core.web.permissions import admins_only
from mfa.decorators import mfa_required_if_enrolled
from requests_app.deletion.flows import FlowUse, delete_flow, use_of
from requests_app.exceptions import RequestRefused
from requests_app.forms import DeleteReasonForm


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    flow = get_object_or_404(AccessFlow, pk=pk)
    form = DeleteReasonForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            use = delete_flow(**action_context(request), flow=flow, **form.cleaned_data)
        except RequestRefused as refused:
            form.add_error(refused.field or None, refused.sentence)
        else:
            messages.success(request, f"{flow.name} is deleted. {_what_ends(use)}")
            return redirect("flows:list")
    context = {"flow": flow, "form": form, "use": use_of(flow)}
    status = 422 if form.errors else 200
    return render(request, "requests_app/flow_delete.html", context, status=status)


def _what_ends(use: FlowUse) -> str:
    if not use.live:
        return "No access was open through it."
    if use.live == 1:
        return "The access that was open through it is being ended."
    return f"{use.live} accesses that were open through it are being ended."
