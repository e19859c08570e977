"""Canaries: draft for one, and its page with every step as it comes."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accessflows.acting import action_context
from accessflows.exceptions import Refused
from accessflows.integrations.canaries import request_canary
from accessflows.integrations.forms import CanaryForm
from accessflows.models import CanaryRun, Integration
from apono_portal.core.web.permissions import admins_only, readers_only
from mfa.decorators import mfa_required_if_enrolled


@admins_only
@mfa_required_if_enrolled
@require_POST
def run_canary(request: HttpRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    form = CanaryForm(request.POST, integration=integration)
    if not form.is_valid():
        messages.error(request, "Choose a resource and a permission that are there now.")
        return redirect("integrations:detail", pk=pk)
    try:
        run = request_canary(
            **action_context(request), integration=integration, **form.cleaned_data
        )
    except Refused as refused:
        messages.error(request, refused.sentence)
        return redirect("integrations:detail", pk=pk)
    return redirect("integrations:canary", pk=pk, run_pk=run.pk)


@readers_only
@require_GET
@never_cache
def canary(request: HttpRequest, pk: int, run_pk: int) -> HttpResponse:
    runs = CanaryRun.objects.select_related("integration")
    run = get_object_or_404(runs, pk=run_pk, integration=pk)
    mark = f"{run.state}-{len(run.steps)}" if run.is_open else ""
    context = {"run": run, "integration": run.integration, "moving": mark}
    return render(request, "accessflows/canary.html", context)
