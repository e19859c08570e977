"""The simulator, for admins and auditors: what would happen if somebody asked now."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apono_portal.core.web.permissions import readers_only
from requests_app.submission.simulator import SimulatorForm, emails_to_suggest, simulate


@require_GET
@readers_only
def simulator(request: HttpRequest) -> HttpResponse:
    asked = bool(request.GET)
    form = SimulatorForm(request.GET if asked else None, initial={"duration": "1h"})
    found = asked and form.is_valid()
    context = {
        "form": form,
        "emails": emails_to_suggest(),
        "person": form.cleaned_data["person"] if found else None,
        "cases": simulate(**form.cleaned_data, now=timezone.now()) if found else [],
        "asked": found,
    }
    status = 422 if form.errors else 200
    return render(request, "requests_app/simulator.html", context, status=status)
