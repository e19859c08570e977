"""Exports of the Activity page: one row per request, with its evidence, decisions and proof."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from apono_portal.core.db.keyset import iter_batches
from apono_portal.core.formatting.datetimes import utc_timestamp
from audit.log.export import csv_lines, json_lines
from requests_app.activity.selectors import ActivityFilters, filter_requests, with_decisions
from requests_app.grants.proof_text import proof_summary
from requests_app.models import AccessRequest, Decision, Extension

Row = dict[str, Any]
COLUMNS = (
    "request",
    "requested_at",
    "requester",
    "flow",
    "flow_version",
    "targets",
    "logins",
    "duration_s",
    "justification",
    "ticket",
    "status",
    "status_since",
    "mfa_required",
    "mfa_verified_at",
    "mfa_with",
    "mfa_scope",
    "mfa_from",
    "mfa_verification",
    "break_glass",
    "agent",
    "review",
    "approval",
    "decisions",
    "approvers_mfa",
    "extensions",
    "started_at",
    "ends_at",
    "ended_at",
    "revoked_by",
    "message",
    "removal_verified_at",
    "proof",
    "left_behind",
)


def export_lines(filters: ActivityFilters, file_format: str) -> Iterator[str]:
    """Yield the lines of the file, oldest request first."""
    if file_format == "csv":
        return csv_lines(COLUMNS, map(_csv_cells, _requests(filters)))
    return json_lines(map(record_of, _requests(filters)))


def _requests(filters: ActivityFilters) -> Iterator[AccessRequest]:
    requests = with_decisions(filter_requests(filters)).prefetch_related(
        "grants", "extensions", "review"
    )
    for batch in iter_batches(requests):
        yield from batch


def record_of(request: AccessRequest) -> Row:
    """Return a request with its evidence, decisions and proof, as JSON Lines and the API have it."""
    grants = list(request.grants.all())
    removals = [grant.removed_at for grant in grants if grant.removed_at]
    all_removed = grants and len(removals) == len(grants)
    return {
        "request": request.reference,
        "requested_at": utc_timestamp(request.created_at),
        "requester": request.requester_label,
        "flow": request.flow_name,
        "flow_version": request.flow_version,
        "targets": [str(target) for target in request.targets.all()],
        "logins": [grant.login for grant in grants if grant.login],
        "duration_s": int(request.duration.total_seconds()),
        "justification": request.justification,
        "ticket": request.ticket,
        "status": request.status,
        "status_since": utc_timestamp(request.status_changed_at),
        "mfa_required": request.require_mfa,
        "mfa_strength": request.mfa_strength,
        **_mfa(request),
        "mfa_verification": request.verification_id,
        "break_glass": request.break_glass,
        "agent": request.token_name if request.by_agent else "",
        "review": _review(request),
        "approval": request.approval,
        "decisions": [_decision(decision) for decision in request.decisions.all()],
        "extensions": [_extension(extension) for extension in request.extensions.all()],
        "started_at": _instant_or_none(request.starts_at),
        "ends_at": _instant_or_none(request.ends_at),
        "ended_at": _instant_or_none(request.ended_at),
        "revoked_by": request.revoked_by_label,
        "message": request.message,
        "removal_verified_at": _instant_or_none(max(removals)) if all_removed else None,
        "proof": [grant.proof for grant in grants if grant.proof],
        "left_behind": sum(len(grant.owned_objects) for grant in grants),
    }


def _mfa(verified: AccessRequest | Extension) -> Row:
    return {
        "mfa_verified_at": _instant_or_none(verified.verified_at),
        "mfa_method": verified.verified_method,
        "mfa_with": verified.verified_with,
        "mfa_scope": verified.verified_scope,
        "mfa_from": verified.verified_from,
    }


def _review(request: AccessRequest) -> Row | None:
    if request.reviewed_at is None:
        return None
    review = request.review
    return {
        "verdict": review.verdict,
        "reviewer": review.reviewer_label,
        "at": utc_timestamp(review.at),
        "note": review.note,
    }


def _decision(decision: Decision) -> Row:
    verification = decision.verification
    return {
        "verdict": decision.verdict,
        "approver": decision.approver_label,
        "at": utc_timestamp(decision.at),
        "reason": decision.reason,
        "mfa_verified_at": _instant_or_none(verification.at) if verification else None,
        "mfa_method": verification.method if verification else "",
        "mfa_with": verification.device_name if verification else "",
    }


def _extension(extension: Extension) -> Row:
    return {
        "number": extension.number,
        "state": extension.state,
        "at": utc_timestamp(extension.requested_at),
        "until": utc_timestamp(extension.to_end),
        **_mfa(extension),
    }


def _instant_or_none(at: datetime | None) -> str | None:
    return utc_timestamp(at) if at else None


def _csv_cells(request: AccessRequest) -> list[object]:
    row = record_of(request)
    decisions = row["decisions"]
    row |= {
        "review": _review_text(row["review"]) if row["review"] else "",
        "targets": "; ".join(row["targets"]),
        "logins": "; ".join(row["logins"]),
        "decisions": "; ".join(map(_decision_text, decisions)),
        "approvers_mfa": "; ".join(
            f"{decision['mfa_verified_at']} {decision['mfa_with']}"
            for decision in decisions
            if decision["mfa_verified_at"]
        ),
        "extensions": "; ".join(map(_extension_text, row["extensions"])),
        "proof": "; ".join(map(proof_summary, row["proof"])),
    }
    return [row[name] for name in COLUMNS]


def _review_text(review: Row) -> str:
    return f"{review['verdict']} by {review['reviewer']} at {review['at']}: {review['note']}"


def _decision_text(decision: Row) -> str:
    text = f"{decision['verdict']} by {decision['approver']} at {decision['at']}"
    return f"{text}: {decision['reason']}" if decision["reason"] else text


def _extension_text(extension: Row) -> str:
    text = f"{extension['number']} {extension['state']}, until {extension['until']}"
    if not extension["mfa_with"]:
        return text
    return f"{text}, MFA {extension['mfa_verified_at']} {extension['mfa_with']}"
