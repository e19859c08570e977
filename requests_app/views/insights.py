"""Insights: how MFA, requests and endings went, for admins and auditors."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apono_portal.core.web.permissions import readers_only
from requests_app.insights.forms import InsightsForm
from requests_app.insights.report import insights_of


@require_safe
@readers_only
def insights(request: HttpRequest) -> HttpResponse:
    form = InsightsForm(request.GET)
    if not form.is_valid():
        return render(request, "requests_app/insights.html", {"form": form}, status=422)
    context = {"form": form, "told": insights_of(*form.wanted)}
    return render(request, "requests_app/insights.html", context)
