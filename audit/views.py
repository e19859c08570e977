"""The audit log's page and its export. What is taken out is put on the record."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_safe

from audit.access import readers_only
from audit.details import details_of
from audit.export import download, exported_log
from audit.forms import LogForm
from audit.keyset import about, page_of
from audit.origin import Origin
from audit.selectors import chain_standing, released_by, sealed_place, wanted_events
from audit.services import record_export


@require_safe
@readers_only
def log(request: HttpRequest) -> HttpResponse:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    asked, found = form.cleaned_data, wanted_events(form.wanted)
    page = page_of(found, before=asked["before"], after=asked["after"])
    opened = next((event for event in page.rows if event.pk == asked["open"]), None)
    context = {
        "form": form,
        "page": page,
        "opened": opened,
        "details": details_of(opened, released=released_by(opened)) if opened else None,
        "place": sealed_place(opened) if opened else None,
        "about": about(found, filtered=form.is_filtered),
        "chain": chain_standing(),
    }
    return render(request, "audit/log.html", context)


@require_GET
@readers_only
def export(request: HttpRequest, form: str) -> HttpResponseBase:
    asked = LogForm(request.GET)
    if not asked.is_valid():
        return render(request, "audit/log.html", {"form": asked}, status=422)
    record_export(
        actor=request.user,
        what="audit log",
        form=form,
        filters=asked.asked,
        rows=about(wanted_events(asked.wanted), filtered=asked.is_filtered),
        origin=Origin.of(request),
    )
    return download(exported_log(asked.wanted, form), name="audit-log", form=form)
