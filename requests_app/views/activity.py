"""Every request, for admins and auditors, and its export. What is taken out is put on the record."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from apono_portal.core.db.keyset import estimate_count, total_text
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.query_strings import query_without
from audit.log.export import download_with_progress
from audit.services import record_export
from requests_app.activity.forms import ActivityForm
from requests_app.activity.rows import page_of_requests, rows_of
from requests_app.activity.selectors import evidence_of, exported, names_to_suggest, wanted_requests
from requests_app.models import AccessRequest


@require_safe
@readers_only
def activity(request: HttpRequest) -> HttpResponse:
    form = ActivityForm(request.GET)
    if not form.is_valid():
        return render(request, "requests_app/activity.html", {"form": form}, status=422)
    asked = form.cleaned_data
    page = page_of_requests(form.wanted, before=asked["before"], after=asked["after"])
    listed = any(each.pk == asked["open"] for each in page.rows)
    opened = AccessRequest.objects.filter(pk=asked["open"]).first() if listed else None
    context = {
        "form": form,
        "page": page,
        "rows": rows_of(page.rows, opened, query_without(request.GET, "open")),
        "opened": opened,
        "evidence": evidence_of(opened, timezone.now()) if opened else None,
        "about": total_text(wanted_requests(form.wanted), is_filtered=form.is_filtered),
        "names": names_to_suggest(),
    }
    return render(request, "requests_app/activity.html", context)


@require_GET
@readers_only
def export(request: HttpRequest, form: str) -> HttpResponseBase:
    asked = ActivityForm(request.GET)
    if not asked.is_valid():
        return render(request, "requests_app/activity.html", {"form": asked}, status=422)
    found = wanted_requests(asked.wanted)
    record_export(
        actor=request.user,
        what="activity",
        file_format=form,
        filters=asked.asked,
        rows=total_text(found, is_filtered=asked.is_filtered),
        client_info=ClientInfo.of(request),
    )
    return download_with_progress(
        request,
        exported(asked.wanted, form),
        name="activity",
        file_format=form,
        expected=estimate_count(found, is_filtered=asked.is_filtered),
    )
