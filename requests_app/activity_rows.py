"""Requests as the list of all shows them: plain words, from what is read for a page at once."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accessflows.models import AccessFlow
from audit.prepared import prepared
from requests_app.models import AccessRequest, Decision, RequestedTarget
from requests_app.templatetags.moments import moment, person

VERDICTS = {str(value): str(label) for value, label in Decision.Verdict.choices}
Told = tuple[Any, ...]


def rows_of(requests: list[AccessRequest], opened: AccessRequest | None) -> list[dict[str, Any]]:
    """Two queries, whatever the number."""
    pks = [request.pk for request in requests]
    if not pks:
        return []
    targets = _by_request(_targets_of(pks))
    decisions = _by_request(_decisions_of(pks))
    return [
        _row(each, targets.get(each.pk, []), decisions.get(each.pk, []), each == opened)
        for each in requests
    ]


@prepared([int])
def _targets_of(pks: list[int]) -> QuerySet[Any, Any]:
    found = RequestedTarget.objects.filter(request__in=pks)
    return found.values_list("request_id", "integration_name", "resource", "permission")


@prepared([int])
def _decisions_of(pks: list[int]) -> QuerySet[Any, Any]:
    found = Decision.objects.filter(request__in=pks)
    proof = ("verification__at", "verification__device_name")
    return found.values_list("request_id", "approver_label", "verdict", "at", "reason", *proof)


def _by_request(rows: Iterable[Told]) -> dict[int, list[Told]]:
    found: dict[int, list[Told]] = {}
    for pk, *told in rows:
        found.setdefault(pk, []).append(tuple(told))
    return found


def _row(
    request: AccessRequest,
    targets: list[Told],
    decisions: list[Told],
    opened: bool,  # noqa: FBT001
) -> dict[str, Any]:
    automatic = request.approval == AccessFlow.Approval.AUTOMATIC
    until = moment(request.ended_at) if request.ended_at else f"until {moment(request.ends_at)}"
    resources = dict.fromkeys(resource for _, resource, _ in targets)
    return {
        "number": str(request.pk),
        "reference": request.reference,
        "instant": timezone.localtime(request.created_at).isoformat(),
        "asked": moment(request.created_at),
        "requester": person(request.requester_label),
        "title": ", ".join(resources) or request.flow_name,
        "roles": list(dict.fromkeys(permission for _, _, permission in targets)),
        "targets": [f"{system} / {resource} · {role}" for system, resource, role in targets],
        "flow": request.flow_name,
        "verified": moment(request.verified_at),
        "verified_with": request.verified_with,
        "unverified": "Not verified" if request.require_mfa else "Not required",
        "approvers": ", ".join(person(label) for label, *_ in decisions),
        "decisions": [_decision(*told) for told in decisions] if opened else [],
        "unapproved": "Automatic" if automatic else "None yet",
        "status": request.status,
        "word": request.get_status_display(),
        "since": moment(request.status_changed_at),
        "started": moment(request.starts_at),
        "ended": until if request.starts_at else "",
        "opened": opened,
    }


def _decision(
    approver: str, verdict: str, at: Any, reason: str, mfa_at: Any, mfa_with: str | None
) -> dict[str, Any]:
    return {
        "verdict": VERDICTS.get(verdict, verdict),
        "at": at,
        "approver": approver,
        "reason": reason,
        "mfa_at": mfa_at,
        "mfa_with": mfa_with or "",
    }
