"""Activity: one row per request, for admins and auditors. What is asked for, found, and exported."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, Value

from accessflows.models import AccessFlow, Integration
from apono_portal.core.db.keyset import iter_batches
from apono_portal.core.db.prepared import prepared
from apono_portal.core.formatting.datetimes import utc_timestamp
from audit.log.export import csv_lines, json_lines
from requests_app.grants.proof_text import proof_in_a_line
from requests_app.models import AccessRequest, Decision, Extension, RequestedTarget
from requests_app.presenters.request import Evidence
from requests_app.querysets import AccessRequestQuerySet

MOST_NAMES = 200
COLUMNS = (
    "request",
    "requested_at",
    "requester",
    "flow",
    "flow_version",
    "targets",
    "duration_s",
    "justification",
    "ticket",
    "status",
    "status_since",
    "mfa_required",
    "mfa_verified_at",
    "mfa_with",
    "mfa_lane",
    "mfa_from",
    "mfa_verification",
    "approval",
    "decisions",
    "approvers_mfa",
    "extensions",
    "started_at",
    "ends_at",
    "ended_at",
    "ended_by",
    "message",
    "proven_gone_at",
    "proof",
    "left_behind",
)


@dataclass(frozen=True)
class Wanted:
    """Which requests are asked for. Empty fields ask for everything."""

    since: datetime | None = None
    until: datetime | None = None
    requester: str = ""
    flow: str = ""
    integration: str = ""
    permission: str = ""
    status: str = ""
    mfa: str = ""
    request_id: int | None = None


def wanted_requests(wanted: Wanted) -> AccessRequestQuerySet:
    """Return the requests asked for. Names are looked for in the snapshots, so history is found."""
    found = AccessRequest.objects.filter(_said_of_request(wanted))
    asked = Q(request=OuterRef("pk"))
    if wanted.integration:
        asked &= Q(integration_name__icontains=wanted.integration)
    if wanted.permission:
        named = Q(permission__icontains=wanted.permission)
        asked &= named | Q(resource__icontains=wanted.permission)
    if wanted.integration or wanted.permission:
        found = found.filter(Exists(RequestedTarget.objects.filter(asked)))
    return found


def _said_of_request(wanted: Wanted) -> Q:
    said = Q()
    for word in wanted.requester.split():
        said &= Q(requester_label__icontains=word)
    if wanted.since:
        said &= Q(created_at__gte=wanted.since)
    if wanted.until:
        said &= Q(created_at__lt=wanted.until)
    if wanted.flow:
        said &= Q(flow_name__icontains=wanted.flow)
    if wanted.status:
        said &= Q(status=wanted.status)
    if wanted.request_id is not None:
        said &= Q(pk=wanted.request_id)
    return said & {
        "verified": Q(verified_at__isnull=False),
        "missing": Q(require_mfa=True, verified_at=None),
        "not_required": Q(require_mfa=False),
    }.get(wanted.mfa, Q())


def in_full(found: AccessRequestQuerySet) -> AccessRequestQuerySet:
    """Return the requests with all an export tells of them."""
    decisions = Prefetch("decisions", queryset=Decision.objects.select_related("verification"))
    return found.prefetch_related("targets", decisions, "grants", "extensions")


def names_to_suggest() -> dict[str, list[str]]:
    """Return names of flows and of integrations for the filters. One query."""
    found: dict[str, list[str]] = {"flows": [], "integrations": []}
    for kind, name in _names():
        found[kind].append(name)
    return found


@prepared()
def _names() -> QuerySet[Any, Any]:
    flows, integrations = (_first_names(model) for model in (AccessFlow, Integration))
    both = flows.values_list(Value("flows"), "name").union(
        integrations.values_list(Value("integrations"), "name"), all=True
    )
    return both.order_by("name")


def _first_names(model: type[AccessFlow] | type[Integration]) -> QuerySet[Any]:
    first = model._default_manager.order_by("name").values("pk")[:MOST_NAMES]
    chosen: QuerySet[Any] = model._default_manager.filter(pk__in=first).order_by()
    return chosen


def evidence_of(request: AccessRequest, now: datetime) -> Evidence | None:
    return Evidence.of_request(request, now)


def exported(wanted: Wanted, form: str) -> Iterator[str]:
    """Yield the file that holds what is asked for, oldest first."""
    if form == "csv":
        return csv_lines(COLUMNS, map(_cells, _exported_requests(wanted)))
    return json_lines(map(_told, _exported_requests(wanted)))


def _exported_requests(wanted: Wanted) -> Iterator[AccessRequest]:
    for batch in iter_batches(in_full(wanted_requests(wanted))):
        yield from batch


def _told(request: AccessRequest) -> dict[str, Any]:
    """Return everything an export tells of a request, as JSON has it."""
    grants = list(request.grants.all())
    proven = [grant.ended_at for grant in grants if grant.ended_at]
    return {
        "request": request.reference,
        "requested_at": utc_timestamp(request.created_at),
        "requester": request.requester_label,
        "flow": request.flow_name,
        "flow_version": request.flow_version,
        "targets": [str(target) for target in request.targets.all()],
        "duration_s": int(request.duration.total_seconds()),
        "justification": request.justification,
        "ticket": request.ticket,
        "status": request.status,
        "status_since": utc_timestamp(request.status_changed_at),
        **_mfa_of(request),
        "approval": request.approval,
        "decisions": [_decision(each) for each in request.decisions.all()],
        "extensions": [_extension(each) for each in request.extensions.all()],
        "started_at": _maybe(request.starts_at),
        "ends_at": _maybe(request.ends_at),
        "ended_at": _maybe(request.ended_at),
        "ended_by": request.end_asked_by_label,
        "message": request.message,
        "proven_gone_at": _maybe(max(proven)) if grants and len(proven) == len(grants) else None,
        "proof": [grant.proof for grant in grants if grant.proof],
        "left_behind": sum(len(grant.owned_objects) for grant in grants),
    }


def _mfa_of(request: AccessRequest) -> dict[str, Any]:
    return {
        "mfa_required": request.require_mfa,
        "mfa_verified_at": _maybe(request.verified_at),
        "mfa_with": request.verified_with,
        "mfa_lane": request.verified_scope,
        "mfa_from": request.verified_from,
        "mfa_verification": request.verification_id,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    verification = decision.verification
    return {
        "verdict": decision.verdict,
        "approver": decision.approver_label,
        "at": utc_timestamp(decision.at),
        "reason": decision.reason,
        "mfa_verified_at": _maybe(verification.at) if verification else None,
        "mfa_with": verification.device_name if verification else "",
    }


def _extension(extension: Extension) -> dict[str, Any]:
    return {
        "number": extension.number,
        "state": extension.state,
        "at": utc_timestamp(extension.asked_at),
        "until": utc_timestamp(extension.to_end),
        "mfa_verified_at": _maybe(extension.verified_at),
        "mfa_with": extension.verified_with,
        "mfa_lane": extension.verified_scope,
        "mfa_from": extension.verified_from,
    }


def _maybe(at: datetime | None) -> str | None:
    return utc_timestamp(at) if at else None


def _cells(request: AccessRequest) -> list[object]:
    told = _told(request)
    decisions = told["decisions"]
    told |= {
        "targets": "; ".join(told["targets"]),
        "decisions": "; ".join(_in_words(each) for each in decisions),
        "approvers_mfa": "; ".join(
            f"{each['mfa_verified_at']} {each['mfa_with']}"
            for each in decisions
            if each["mfa_verified_at"]
        ),
        "extensions": "; ".join(
            f"{each['number']} {each['state']}, until {each['until']}"
            + (f", MFA {each['mfa_verified_at']} {each['mfa_with']}" if each["mfa_with"] else "")
            for each in told["extensions"]
        ),
        "proof": "; ".join(proof_in_a_line(proof) for proof in told["proof"]),
    }
    return [told[name] for name in COLUMNS]


def _in_words(decision: dict[str, Any]) -> str:
    said = f"{decision['verdict']} by {decision['approver']} at {decision['at']}"
    return f"{said}: {decision['reason']}" if decision["reason"] else said
