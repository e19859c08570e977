"""Requests as the list of all shows them: plain words, from what is read for a page at once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Value
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.core.db.keyset import Page, page_of
from apono_portal.core.db.prepared import prepared
from apono_portal.core.formatting.datetimes import person, relative_datetime
from requests_app.activity.selectors import Wanted, wanted_requests
from requests_app.models import STATUS_LABELS, AccessRequest, Decision, RequestedTarget

VERDICTS = {str(value): str(label) for value, label in Decision.Verdict.choices}
SHOWN = (
    "pk",
    "requester_label",
    "flow_name",
    "require_mfa",
    "approval",
    "status",
    "status_changed_at",
    "created_at",
    "starts_at",
    "ends_at",
    "ended_at",
    "verified_at",
    "verified_with",
)
TARGET, DECISION = range(2)
Target = tuple[str, str, str]


def page_of_requests(wanted: Wanted, *, before: int | None, after: int | None) -> Page[Any]:
    """Return a page with what the list shows of each request, and how many there are. One query."""
    requests = wanted_requests(wanted).values_list(*SHOWN, named=True)
    return page_of(requests, before=before, after=after)


def toggle_of(address: str, number: str, place: str, opened: bool) -> dict[str, Any]:  # noqa: FBT001
    if opened:
        return {"opened": True, "expanded": "true", "toggle": f"{address}{place}"}
    return {"opened": False, "expanded": "false", "toggle": f"{address}open={number}{place}"}


def rows_of(
    requests: list[Any], opened: AccessRequest | None, address: str
) -> list[dict[str, Any]]:
    """One query, whatever the number; another for what is opened."""
    pks = [request.pk for request in requests]
    targets: dict[int, list[Target]] = {pk: [] for pk in pks}
    approvers: dict[int, list[str]] = {pk: [] for pk in pks}
    for kind, _, pk, *told in sorted(_surroundings(pks)) if pks else ():
        if kind == TARGET:
            targets[pk].append((told[0], told[1], told[2]))
        else:
            approvers[pk].append(person(told[0]))
    tell, zone = relative_datetime, timezone.get_current_timezone()
    return [
        {
            "instant": each.created_at.astimezone(zone).isoformat(),
            **_row(each, sorted(targets[each.pk]), approvers[each.pk], tell),
            **toggle_of(address, str(each.pk), f"#r{each.pk}", _is(opened, each)),
            "decisions": decisions_of(opened) if opened and _is(opened, each) else [],
        }
        for each in requests
    ]


@prepared([int])
def _surroundings(pks: list[int]) -> QuerySet[Any, Any]:
    """What some requests ask for, and who decided on them."""
    targets = RequestedTarget.objects.filter(request__in=pks).order_by()
    decisions = Decision.objects.filter(request__in=pks).order_by()
    rows: QuerySet[Any, Any] = targets.values_list(
        Value(TARGET), "pk", "request_id", "integration_name", "resource", "permission"
    )
    said = ("pk", "request_id", "approver_label", Value(""), Value(""))
    return rows.union(decisions.values_list(Value(DECISION), *said), all=True)


def decisions_of(request: AccessRequest) -> list[dict[str, Any]]:
    return [
        {
            "verdict": VERDICTS.get(each.verdict, each.verdict),
            "at": each.at,
            "approver": each.approver_label,
            "reason": each.reason,
            "mfa_at": each.verification.at if each.verification else None,
            "mfa_with": each.verification.device_name if each.verification else "",
        }
        for each in request.decisions.select_related("verification")
    ]


def _is(opened: AccessRequest | None, row: Any) -> bool:
    return opened is not None and opened.pk == row.pk


def _row(
    request: Any,
    targets: list[Target],
    approvers: list[str],
    moment: Callable[[datetime | None], str],
) -> dict[str, Any]:
    automatic = request.approval == AccessFlow.Approval.AUTOMATIC
    until = moment(request.ended_at) if request.ended_at else f"until {moment(request.ends_at)}"
    resources = dict.fromkeys(resource for _, resource, _ in targets)
    return {
        "number": str(request.pk),
        "reference": f"AR-{request.pk}",
        "asked": moment(request.created_at),
        "requester": person(request.requester_label),
        "title": ", ".join(resources) or request.flow_name,
        "roles": list(dict.fromkeys(permission for _, _, permission in targets)),
        "targets": [f"{system} / {resource} · {role}" for system, resource, role in targets],
        "flow": request.flow_name,
        "verified": moment(request.verified_at),
        "verified_with": request.verified_with,
        "unverified": "Not verified" if request.require_mfa else "Not required",
        "approvers": ", ".join(approvers),
        "unapproved": "Automatic" if automatic else "None yet",
        "status": request.status,
        "word": STATUS_LABELS.get(request.status, request.status),
        "since": moment(request.status_changed_at),
        "started": moment(request.starts_at),
        "ended": until if request.starts_at else "",
    }
