"""The Audit Log page and its exports, which are themselves recorded."""

from uuid import UUID

from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_safe

from apono_portal.core.db.keyset import estimate_count, total_text
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from audit.integrity.selectors import chain_entry_of, chain_status
from audit.log.details import details_of
from audit.log.export import download_with_progress, export_lines
from audit.log.forms import LogForm
from audit.log.selectors import EventFilter, filter_events, page_of_events, released_by, total_of
from audit.models import ExportProgress
from audit.services import record_export


@require_safe
@readers_only
def log(request: HttpRequest) -> HttpResponse:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    place = form.cleaned_data
    page = page_of_events(form.filters, before=place["before"], after=place["after"])
    opened = next((event for event in page.rows if event.pk == place["open"]), None)
    context = {
        "form": form,
        "page": page,
        "span": span_text([event.pk for event in page.rows]),
        "opened": opened,
        "details": details_of(opened, released=released_by(opened)) if opened else None,
        "chain_entry": chain_entry_of(opened) if opened else None,
        "total": total_of(form.filters, page),
        "chain": chain_status(),
        **_users_in(form.filters),
    }
    return render(request, "audit/log.html", context)


def _users_in(filters: EventFilter) -> dict[str, object]:
    """Return the users whom a link from the page of a user names."""
    users = get_user_model()._default_manager
    actor, about = filters.actor_id, filters.user_id
    return {
        "only_actor": users.filter(pk=actor).first() if actor is not None else None,
        "only_user": users.filter(pk=about).first() if about is not None else None,
    }


def span_text(ids: list[int]) -> str:
    if len(ids) == 1:
        return f"Event #{ids[0]}"
    return f"Events #{ids[0]} to #{ids[-1]}" if ids else ""


@require_GET
@readers_only
def export(request: PortalRequest, file_format: str) -> HttpResponseBase:
    form = LogForm(request.GET)
    if not form.is_valid():
        return render(request, "audit/log.html", {"form": form}, status=422)
    events = filter_events(form.filters)
    record_export(
        actor=request.user,
        what="audit log",
        file_format=file_format,
        filters=form.typed_filters,
        rows=total_text(events, is_filtered=form.is_filtered),
        client_info=ClientInfo.of(request),
    )
    return download_with_progress(
        request,
        export_lines(form.filters, file_format),
        name="audit-log",
        file_format=file_format,
        expected=estimate_count(events, is_filtered=form.is_filtered),
    )


@require_safe
@readers_only
def progress(request: PortalRequest, token: UUID) -> HttpResponse:
    """Return the progress of the user's own export."""
    export = get_object_or_404(ExportProgress, token=token, actor_id=request.user.pk)
    values = {
        "rows": export.rows,
        "expected": export.expected,
        "finished": export.finished_at is not None,
    }
    return JsonResponse(values)
