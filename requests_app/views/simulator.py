"""The simulator for admins and auditors: what would happen to a request made now."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from requests_app.submission.simulator import SimulatorForm, conclusion, simulate


@require_GET
@readers_only
def simulator(request: PortalRequest) -> HttpResponse:
    form = SimulatorForm(request.GET or None, initial={"duration": "1h"})
    is_search = "step" in request.GET  # the button of a picker
    has_run = form.is_bound and not is_search and form.is_valid()
    context: dict[str, object] = {"form": form, "has_run": has_run, "is_search": is_search}
    if has_run:
        inputs = form.cleaned_data
        cases = simulate(**inputs, now=timezone.now())
        context["cases"] = cases
        context["conclusion"] = conclusion(
            cases,
            person=inputs["person"],
            target_label=form.target_label,
            duration=inputs["duration"],
        )
    status = 422 if form.is_bound and not is_search and form.errors else 200
    return render(request, "requests_app/simulator.html", context, status=status)
