"""Activity: every request, for admins and auditors, and its exports, which are recorded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_safe

from apono_portal.core.db.keyset import estimate_count, page_of, total_text
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.query_strings import query_without
from apono_portal.core.web.types import PortalRequest
from audit.log.export import download_with_progress
from audit.services import record_export
from requests_app.activity.export import export_lines
from requests_app.activity.forms import ActivityForm
from requests_app.activity.selectors import filter_requests, names_to_suggest, with_decisions
from requests_app.presenters.request import Evidence, RequestSummary

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True)
class ActivityRow(RequestSummary):
    """A request in the table. ``toggle_url`` shows its details, or hides them if it is open."""

    is_open: bool
    toggle_url: str


@require_safe
@readers_only
def activity(request: PortalRequest) -> HttpResponse:
    form = ActivityForm(request.GET)
    if not form.is_valid():
        return render(request, "requests_app/activity.html", {"form": form}, status=422)
    data, requests = form.cleaned_data, filter_requests(form.filters)
    page = page_of(with_decisions(requests), before=data["before"], after=data["after"])
    opened = next((listed for listed in page.rows if listed.pk == data["open"]), None)
    base_url = query_without(request.GET, "open")
    context = {
        "form": form,
        "page": page,
        "rows": [
            ActivityRow(
                listed,
                is_open=listed is opened,
                toggle_url=f"{base_url}{'' if listed is opened else f'open={listed.pk}'}#r{listed.pk}",
            )
            for listed in page.rows
        ],
        "evidence": Evidence.of_request(opened, timezone.now()) if opened else None,
        "total": total_text(requests, is_filtered=form.is_filtered) if page.rows else "",
        "names": names_to_suggest(),
        "only_user": _only_user(data["user_id"]),
    }
    return render(request, "requests_app/activity.html", context)


def _only_user(pk: int | None) -> "User | None":
    """Return the user whose requests a link from the user's page lists."""
    return get_user_model()._default_manager.filter(pk=pk).first() if pk is not None else None


@require_GET
@readers_only
def export(request: PortalRequest, file_format: str) -> HttpResponseBase:
    form = ActivityForm(request.GET)
    if not form.is_valid():
        return render(request, "requests_app/activity.html", {"form": form}, status=422)
    requests = filter_requests(form.filters)
    record_export(
        actor=request.user,
        what="activity",
        file_format=file_format,
        filters=form.active_filters,
        rows=total_text(requests, is_filtered=form.is_filtered),
        client_info=ClientInfo.of(request),
    )
    return download_with_progress(
        request,
        export_lines(form.filters, file_format),
        name="activity",
        file_format=file_format,
        expected=estimate_count(requests, is_filtered=form.is_filtered),
    )
