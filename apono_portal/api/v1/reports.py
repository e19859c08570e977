"""Activity and the audit log, for admins and auditors, and their exports."""

from typing import Any, Literal, TypeVar

from django.http import HttpResponseBase
from ninja import Query, Router, Schema

from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.problems import ERRORS, Problem
from apono_portal.api.scopes import Scope
from apono_portal.api.v1 import schemas
from apono_portal.core.db.keyset import page_of, total_text
from audit.log import export as log_export
from audit.log.forms import LogForm
from audit.log.selectors import filter_events, page_of_events
from audit.models import Event
from audit.services import record_export
from requests_app.activity import export as activity_export
from requests_app.activity.forms import ActivityForm
from requests_app.activity.selectors import filter_requests, with_decisions

router = Router(tags=["Reports"])
READ = BearerToken(Scope.AUDIT_READ, readers_only=True)
FileFormat = Literal["csv", "jsonl"]
FilterForm = TypeVar("FilterForm", ActivityForm, LogForm)
FILE = {"description": "The file", "content": {"text/csv": {}, "application/jsonl": {}}}


class ActivityFilters(Schema):
    """The filters of the Activity page. Days are written YYYY-MM-DD, in the portal's time zone."""

    since: schemas.Filter = ""
    until: schemas.Filter = ""
    status: schemas.Filter = ""
    mfa: Literal["", "verified", "missing", "not_required"] = ""
    requester: schemas.Filter = ""
    flow: schemas.Filter = ""
    integration: schemas.Filter = ""
    permission: schemas.Filter = ""
    request: schemas.Filter = ""


class LogFilters(Schema):
    """The filters of the Audit Log page."""

    since: schemas.Filter = ""
    until: schemas.Filter = ""
    event: schemas.Filter = ""
    actor: schemas.Filter = ""
    request: schemas.Filter = ""
    text: schemas.Filter = ""


@router.get(
    "/activity",
    auth=READ,
    response={200: schemas.ActivityPageOut, ERRORS: schemas.ProblemOut},
    summary="List all requests",
)
def list_activity(
    request: ApiRequest,
    filters: Query[ActivityFilters],
    cursor: schemas.Cursor = None,
) -> dict[str, Any]:
    """Newest first, with evidence, decisions and proof."""
    form = _valid(ActivityForm(filters.dict()))
    requests = with_decisions(filter_requests(form.filters))
    page = page_of(requests.prefetch_related("grants", "extensions"), before=cursor, after=None)
    return {
        "items": [activity_export.record_of(listed) for listed in page.rows],
        "next_cursor": page.older_than,
    }


@router.get(
    "/activity/export",
    auth=READ,
    response={ERRORS: schemas.ProblemOut},
    summary="Export all requests",
    openapi_extra={"responses": {200: FILE}},
)
def export_activity(
    request: ApiRequest,
    filters: Query[ActivityFilters],
    file_format: FileFormat = "jsonl",
) -> HttpResponseBase:
    form = _valid(ActivityForm(filters.dict()))
    rows = total_text(filter_requests(form.filters), is_filtered=form.is_filtered)
    _record(request, "activity", file_format, form.active_filters, rows)
    lines = activity_export.export_lines(form.filters, file_format)
    return log_export.download(lines, name="activity", file_format=file_format)


@router.get(
    "/audit-log",
    auth=READ,
    response={200: schemas.EventPageOut, ERRORS: schemas.ProblemOut},
    summary="List audit events",
)
def list_events(
    request: ApiRequest, filters: Query[LogFilters], cursor: schemas.Cursor = None
) -> dict[str, Any]:
    """Newest first."""
    form = _valid(LogForm(filters.dict()))
    page = page_of_events(form.filters, before=cursor, after=None)
    return {"items": [_event(event) for event in page.rows], "next_cursor": page.older_than}


@router.get(
    "/audit-log/export",
    auth=READ,
    response={ERRORS: schemas.ProblemOut},
    summary="Export the audit log",
    openapi_extra={"responses": {200: FILE}},
)
def export_events(
    request: ApiRequest,
    filters: Query[LogFilters],
    file_format: FileFormat = "jsonl",
) -> HttpResponseBase:
    """Without filters, JSON Lines hold the whole chain and can be verified offline."""
    form = _valid(LogForm(filters.dict()))
    rows = total_text(filter_events(form.filters), is_filtered=form.is_filtered)
    _record(request, "audit log", file_format, form.typed_filters, rows)
    lines = log_export.export_lines(form.filters, file_format)
    return log_export.download(lines, name="audit-log", file_format=file_format)


def _valid(form: FilterForm) -> FilterForm:
    if not form.is_valid():
        errors = [
            {"where": name, "message": str(message)}
            for name, messages in form.errors.items()
            for message in messages
        ]
        raise Problem(422, "invalid", errors[0]["message"], {"errors": errors})
    return form


def _record(
    request: ApiRequest, what: str, file_format: str, filters: dict[str, str], rows: str
) -> None:
    record_export(
        actor=request.auth.user,
        what=what,
        file_format=file_format,
        filters=filters,
        rows=rows,
        client_info=client_of(request),
    )


def _event(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "event": event.event,
        "label": event.get_event_display(),
        "actor_id": event.actor_id,
        "actor": event.actor_label,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "target": event.target_label,
        "request_id": event.request_id,
        "request": event.request_label,
        "address": event.address,
        "user_agent": event.user_agent,
        "metadata": event.metadata,
    }
