"""The history of a flow: every version with its difference, and when it was switched or deleted."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from accessflows.models import AccessFlow
from accessflows.versions import history_of, versions_of
from audit.access import readers_only
from audit.forms import LARGEST_ID


@readers_only
@require_GET
def history(request: HttpRequest, pk: int) -> HttpResponse:
    newest = versions_of(pk).first() if pk <= LARGEST_ID else None
    flow = AccessFlow.objects.filter(pk=pk).first()
    if newest is None and flow is None:
        raise Http404
    page, entries = history_of(pk, request.GET.get("page"))
    name = flow.name if flow else newest.name if newest else ""
    context = {"flow": flow, "name": name, "page": page, "entries": entries}
    return render(request, "accessflows/flow_history.html", context)
