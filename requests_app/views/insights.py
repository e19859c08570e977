"""Insights for admins and auditors."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from requests_app.insights.forms import InsightsForm
from requests_app.insights.report import insights_between


@require_safe
@readers_only
def insights(request: PortalRequest) -> HttpResponse:
    form = InsightsForm(request.GET)
    if not form.is_valid():
        return render(request, "requests_app/insights.html", {"form": form}, status=422)
    context = {"form": form, "insights": insights_between(*form.first_and_last_day)}
    return render(request, "requests_app/insights.html", context)
