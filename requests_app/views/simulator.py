"""The simulator for admins and auditors: what would happen to a request made now."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from requests_app.submission.simulator import SimulatorForm, emails_to_suggest, simulate


@require_GET
@readers_only
def simulator(request: PortalRequest) -> HttpResponse:
    form = SimulatorForm(request.GET or None, initial={"duration": "1h"})
    has_run = form.is_bound and form.is_valid()
    context = {
        "form": form,
        "emails": emails_to_suggest(),
        "cases": simulate(**form.cleaned_data, now=timezone.now()) if has_run else [],
        "has_run": has_run,
    }
    status = 422 if form.errors else 200
    return render(request, "requests_app/simulator.html", context, status=status)
