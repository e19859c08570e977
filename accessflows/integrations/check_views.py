"""Checks that were asked for: draft, and the page that says how far one is."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from accessflows.acting import action_context
from accessflows.exceptions import Refused
from accessflows.integrations.checks import request_check
from accessflows.models import CheckRun, Integration
from apono_portal.core.web.permissions import admins_only, readers_only
from mfa.decorators import mfa_required_if_enrolled


@admins_only
@mfa_required_if_enrolled
@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    integration = get_object_or_404(Integration, pk=pk)
    try:
        run = request_check(**action_context(request), integration=integration)
    except Refused as refused:
        messages.info(request, refused.sentence)
        return redirect("integrations:detail", pk=pk)
    return redirect("integrations:check_run", pk=pk, run_pk=run.pk)


@readers_only
@require_GET
@never_cache
def check_run(request: HttpRequest, pk: int, run_pk: int) -> HttpResponse:
    runs = CheckRun.objects.select_related("integration")
    run = get_object_or_404(runs, pk=run_pk, integration=pk)
    mark = f"{run.state}-{len(run.steps)}-{run.read}" if run.is_open else ""
    context = {"run": run, "integration": run.integration, "moving": mark}
    return render(request, "accessflows/check_run.html", context)
