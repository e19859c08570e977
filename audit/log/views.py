"""The audit log's page and its export. What is taken out is put on the record."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_safe

from apono_portal.core.db.keyset import about, expected_rows
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from audit.integrity.selectors import chain_standing, sealed_place
from audit.log.details import details_of
from audit.log.export import download_for, exported_log
from audit.log.forms import LogForm
from audit.log.rows import address_without, rows_of
from audit.log.selectors import about_page, page_of_events, released_by, wanted_events
from audit.models import ExportProgress
from audit.services import record_export


@require_safe
@readers_only
def log(request: HttpRequest) -> HttpResponse:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    asked = form.cleaned_data
    page = page_of_events(form.wanted, before=asked["before"], after=asked["after"])
    opened = next((event for event in page.rows if event.pk == asked["open"]), None)
    context = {
        "form": form,
        "page": page,
        "rows": rows_of(page.rows, opened, address_without(request.GET, "open")),
        "opened": opened,
        "details": details_of(opened, released=released_by(opened)) if opened else None,
        "place": sealed_place(opened) if opened else None,
        "about": about_page(form.wanted, page),
        "chain": chain_standing(),
    }
    return render(request, "audit/log.html", context)


@require_GET
@readers_only
def export(request: HttpRequest, form: str) -> HttpResponseBase:
    asked = LogForm(request.GET)
    if not asked.is_valid():
        return render(request, "audit/log.html", {"form": asked}, status=422)
    found = wanted_events(asked.wanted)
    record_export(
        actor=request.user,
        what="audit log",
        form=form,
        filters=asked.asked,
        rows=about(found, filtered=asked.is_filtered),
        client_info=ClientInfo.of(request),
    )
    return download_for(
        request,
        exported_log(asked.wanted, form),
        name="audit-log",
        form=form,
        expected=expected_rows(found, filtered=asked.is_filtered),
    )


@require_safe
@readers_only
def progress(request: HttpRequest, token: UUID) -> HttpResponse:
    """How far one's own export has come, for the page it was asked for on."""
    person: Any = request.user
    seen = get_object_or_404(ExportProgress, token=token, actor_id=person.pk)
    return JsonResponse(
        {"rows": seen.rows, "expected": seen.expected, "finished": seen.finished_at is not None},
        headers={"Cache-Control": "no-store"},
    )
