"""Deleting an integration, what stands in the way, and closing grants of a server that is gone."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accessflows.acting import action_context
from accessflows.models import Integration
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from requests_app.deletion.integrations import delete_integration, integration_usage
from requests_app.deletion.lost_servers import close_grants_of_lost_server
from requests_app.exceptions import RequestRefused
from requests_app.forms import DeleteReasonForm


@admins_only
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = DeleteReasonForm(
        request.POST if request.method == "POST" else None,
        initial=kept_words(request, "reason"),
    )
    if form.is_bound and form.is_valid():
        try:
            delete_integration(
                **action_context(request), integration=integration, **form.cleaned_data
            )
        except RequestRefused as refusal:
            form.add_error(refusal.field or None, refusal.sentence)
        else:
            messages.success(request, f"{integration.name} was deleted.")
            return redirect("integrations:list")
    context = {"integration": integration, "form": form, "use": integration_usage(integration)}
    status = 422 if form.errors else 200
    return render(request, "requests_app/integration_delete.html", context, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def server_gone(request: PortalRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = DeleteReasonForm(
        request.POST if request.method == "POST" else None,
        initial=kept_words(request, "reason"),
    )
    if form.is_bound and form.is_valid():
        try:
            number = close_grants_of_lost_server(
                **action_context(request), integration=integration, **form.cleaned_data
            )
        except RequestRefused as refusal:
            form.add_error(refusal.field or None, refusal.sentence)
        else:
            messages.success(request, f"Grants closed without proof: {number}.")
            return redirect("integrations:detail", pk=pk)
    context = {"integration": integration, "form": form, "use": integration_usage(integration)}
    status = 422 if form.errors else 200
    return render(request, "requests_app/server_gone.html", context, status=status)
