"""What a flow means: its terms in words, and the fingerprint of all that matters to a request.

The terms carry labels so that an old version reads on after people and groups are gone. The
fingerprint is taken without them: renaming a group voids nobody's approval, while a changed target
address does.
"""

import hashlib
import json
from typing import Any

from accessflows.models import AccessFlow

ALWAYS = "Always"
_NOT_OF_MATTER = {"name", "description", "label", "availability"}


def terms_of(flow: AccessFlow) -> dict[str, Any]:
    """Return all terms of a flow as JSON values, lists in a fixed order. Nine queries at most."""
    return {
        "name": flow.name,
        "description": flow.description,
        "require_mfa": flow.require_mfa,
        "requestor_users": _named(flow.requestor_users),
        "requestor_groups": _named(flow.requestor_groups),
        "targets": _targets(flow),
        "max_duration_s": int(flow.max_duration.total_seconds()),
        "availability": str(flow.availability or ALWAYS),
        "approval": flow.approval,
        "approver_users": _named(flow.approver_users),
        "approver_groups": _named(flow.approver_groups),
        "require_justification": flow.require_justification,
        "require_approver_reason": flow.require_approver_reason,
        "allow_self_approval": flow.allow_self_approval,
    }


def fingerprint_of(terms: dict[str, Any]) -> str:
    """Return the SHA-256 of the terms that matter, 64 hexadecimal digits."""
    canonical = json.dumps(_of_matter(terms), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _of_matter(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _of_matter(v) for k, v in value.items() if k not in _NOT_OF_MATTER}
    if isinstance(value, list):
        return [_of_matter(item) for item in value]
    return value


def _named(related: Any) -> list[dict[str, Any]]:
    return [{"id": each.pk, "label": str(each)} for each in related.order_by("pk")]


def _targets(flow: AccessFlow) -> list[dict[str, Any]]:
    targets = flow.targets.select_related("resource__integration", "permission")
    return [
        {
            "integration": target.resource.integration_id,
            "address": target.resource.integration.address,
            "resource": target.resource.name,
            "permission": target.permission.name,
            "label": target.label,
        }
        for target in targets.order_by(
            "resource__integration_id", "resource__name", "permission__name"
        )
    ]
