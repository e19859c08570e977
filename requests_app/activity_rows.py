"""Requests as the list of all shows them: plain words, from what is read for a page at once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, Value
from django.utils import timezone

from accessflows.models import AccessFlow
from audit.keyset import PAGE_SIZE, Page, page_of, with_extent
from audit.prepared import prepared
from audit.rows import toggle_of
from requests_app.activity import Wanted, wanted_requests
from requests_app.models import AccessRequest, Decision, RequestedTarget
from requests_app.templatetags.moments import person, teller

VERDICTS = {str(value): str(label) for value, label in Decision.Verdict.choices}
SHOWN = (
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


def page_of_requests(
    wanted: Wanted, *, before: int | None, after: int | None
) -> Page[AccessRequest]:
    """Return a page with what the list shows of each request, and how many there are. One query."""
    filtered = wanted != Wanted()
    found = with_extent(wanted_requests(wanted).only(*SHOWN), filtered=filtered)
    return page_of(found, before=before, after=after, newest=None if filtered else _newest)


@prepared()
def _newest() -> QuerySet[AccessRequest]:
    shown = AccessRequest.objects.only(*SHOWN)
    told: QuerySet[AccessRequest] = with_extent(shown, filtered=False)
    return told.order_by("-pk")[: PAGE_SIZE + 1]


def rows_of(
    requests: list[AccessRequest], opened: AccessRequest | None, address: str
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
    tell, zone = teller(), timezone.get_current_timezone()
    return [
        {
            "instant": each.created_at.astimezone(zone).isoformat(),
            **_row(each, sorted(targets[each.pk]), approvers[each.pk], tell),
            **toggle_of(address, str(each.pk), f"#r{each.pk}", each == opened),
            "decisions": decisions_of(each) if each == opened else [],
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


def _row(
    request: AccessRequest,
    targets: list[Target],
    approvers: list[str],
    moment: Callable[[datetime | None], str],
) -> dict[str, Any]:
    automatic = request.approval == AccessFlow.Approval.AUTOMATIC
    until = moment(request.ended_at) if request.ended_at else f"until {moment(request.ends_at)}"
    resources = dict.fromkeys(resource for _, resource, _ in targets)
    return {
        "number": str(request.pk),
        "reference": request.reference,
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
        "word": request.get_status_display(),
        "since": moment(request.status_changed_at),
        "started": moment(request.starts_at),
        "ended": until if request.starts_at else "",
    }
