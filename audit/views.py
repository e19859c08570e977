"""The audit log's page and its export. Nothing here writes."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.access import readers_only
from audit.details import details_of
from audit.export import as_csv
from audit.forms import LogForm
from audit.selectors import exported_events, log_page, released_by


@require_safe
@readers_only
def log(request: HttpRequest) -> HttpResponse:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    asked = form.cleaned_data
    page = log_page(wanted=form.wanted, before=asked["before"], after=asked["after"])
    opened = next((event for event in page.events if event.pk == asked["open"]), None)
    details = details_of(opened, released=released_by(opened)) if opened else None
    context = {"form": form, "page": page, "opened": opened, "details": details}
    return render(request, "audit/log.html", context)


@require_safe
@readers_only
def export(request: HttpRequest) -> HttpResponseBase:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    name = f"audit-log-{timezone.localtime():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        as_csv(exported_events(form.wanted)),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        },
    )
