"""What a flow means: its terms in words, and the fingerprint of all that matters to a request.

The terms carry labels so that an old version reads on after people and groups are gone. The
fingerprint is taken without them: renaming a group voids nobody's approval, while a changed target
address does.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import timedelta
from operator import itemgetter
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import QuerySet, Value

from accessflows.flows.selectors import all_targets_of
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow, EscalationTier, FlowTarget, Permission, Resource
from apono_portal.core.db.prepared import prepared
from apono_portal.core.formatting.durations import format_duration

ALWAYS = "Always"
_NOT_OF_MATTER = {"name", "description", "label", "availability"}
# Terms flows did not always have. While they say nothing they are left out, so that a new release of
# the portal voids no request that waits.
_LATER = {"ticket_pattern": "", "require_ticket": False}


def terms_of(flow: AccessFlow) -> dict[str, Any]:
    """Return all terms of a flow as JSON values, lists in a fixed order. Ten queries at most."""
    targets = flow.targets.select_related("resource__integration", "permission")
    return {
        **_plain(flow),
        "requester_users": _named(flow.requester_users),
        "requester_groups": _named(flow.requester_groups),
        "targets": _targets((each.resource, each.permission) for each in targets),
        "approver_users": _named(flow.approver_users),
        "approver_groups": _named(flow.approver_groups),
        "escalation": _escalation(
            (each.wait, each.group) for each in flow.escalation_tiers.select_related("group")
        ),
    }


def terms_of_draft(draft: FlowInput) -> dict[str, Any]:
    """Return what `terms_of` will return once a flow is saved with these terms."""
    people = get_user_model()._default_manager
    resources = Resource.objects.select_related("integration").in_bulk(
        {resource for resource, _ in draft.targets}
    )
    permissions = Permission.objects.in_bulk({permission for _, permission in draft.targets})
    groups = Group.objects.in_bulk({group for _, group in draft.escalation})
    return {
        **_plain(draft),
        "requester_users": _named(people.filter(pk__in=draft.requester_users)),
        "requester_groups": _named(Group.objects.filter(pk__in=draft.requester_groups)),
        "targets": _targets(
            (resources[resource], permissions[permission])
            for resource, permission in draft.targets
            if resource in resources and permission in permissions
        ),
        "approver_users": _named(people.filter(pk__in=draft.approver_users)),
        "approver_groups": _named(Group.objects.filter(pk__in=draft.approver_groups)),
        "escalation": _escalation(
            (wait, groups[group]) for wait, group in draft.escalation if group in groups
        ),
    }


def current_fingerprint(flow: AccessFlow, targets: Iterable[FlowTarget] | None = None) -> str:
    """Return ``fingerprint_of(terms_of(flow))`` without the labels it leaves out. Two queries, or
    one if `all_targets_of` the flow were read before."""
    named: dict[int, list[dict[str, Any]]] = {kind: [] for kind in range(len(_NAMED))}
    tiers: list[dict[str, Any]] = []
    for kind, number, _position, wait in sorted(_who(flow.pk), key=itemgetter(0, 2, 1)):
        if kind == _TIER:
            tiers.append({"group": number, "wait_s": int(wait.total_seconds())})
        else:
            named[kind].append({"id": number})
    targets = all_targets_of(flow) if targets is None else targets
    pairs = ((each.resource, each.permission) for each in targets)
    terms = {name: named[kind] for kind, (name, _) in enumerate(_NAMED)}
    return fingerprint_of(
        {**_plain(flow), **terms, "targets": _targets(pairs), "escalation": tiers}
    )


_NAMED = (
    ("requester_users", "user_id"),
    ("requester_groups", "group_id"),
    ("approver_users", "user_id"),
    ("approver_groups", "group_id"),
)
_TIER = len(_NAMED)


@prepared(int)
def _who(flow_id: int) -> QuerySet[Any, Any]:
    """Everybody a flow names, by kind and number, and the tiers with position and wait."""
    tiers = EscalationTier.objects.filter(flow=flow_id).order_by()
    rows = tiers.values_list(Value(_TIER), "group_id", "position", "wait")
    others = (
        getattr(AccessFlow, name)
        .through._default_manager.filter(accessflow=flow_id)
        .values_list(Value(kind), person, Value(0), Value(timedelta(0)))
        for kind, (name, person) in enumerate(_NAMED)
    )
    return rows.union(*others, all=True)


def fingerprint_of(terms: dict[str, Any]) -> str:
    """Return the SHA-256 of the terms that matter, 64 hexadecimal digits."""
    canonical = json.dumps(_of_matter(terms), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _of_matter(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _of_matter(v) for k, v in value.items() if _matters(k, v)}
    if isinstance(value, list):
        return [_of_matter(item) for item in value]
    return value


def _matters(term: str, value: Any) -> bool:
    return term not in _NOT_OF_MATTER and not (term in _LATER and value == _LATER[term])


def _named(related: Any) -> list[dict[str, Any]]:
    return [{"id": each.pk, "label": str(each)} for each in related.order_by("pk")]


def _plain(source: AccessFlow | FlowInput) -> dict[str, Any]:
    """The terms that a flow and a draft of it call by the same names."""
    return {
        "name": source.name,
        "description": source.description,
        "require_mfa": source.require_mfa,
        "max_duration_s": int(source.max_duration.total_seconds()),
        "max_extensions": source.max_extensions,
        "extension_duration_s": int(source.extension_duration.total_seconds()),
        "availability": str(source.availability or ALWAYS),
        "approval": source.approval,
        "approvals_required": source.approvals_required,
        "require_justification": source.require_justification,
        "ticket_pattern": source.ticket_pattern,
        "require_ticket": source.require_ticket,
        "require_approver_reason": source.require_approver_reason,
        "allow_self_approval": source.allow_self_approval,
    }


def _escalation(steps: Iterable[tuple[timedelta, Group]]) -> list[dict[str, Any]]:
    return [
        {
            "group": group.pk,
            "wait_s": int(wait.total_seconds()),
            "label": f"{position}. {group} after {format_duration(wait)}",
        }
        for position, (wait, group) in enumerate(steps, start=1)
    ]


def _targets(pairs: Iterable[tuple[Resource, Permission]]) -> list[dict[str, Any]]:
    """Sorted here and not by a database, each of which has an order of its own for letters."""
    targets = [
        {
            "integration": resource.integration_id,
            "address": resource.integration.address,
            "resource": resource.name,
            "permission": permission.name,
            "label": f"{resource.integration} / {resource} · {permission}",
        }
        for resource, permission in pairs
    ]
    return sorted(targets, key=itemgetter("integration", "resource", "permission"))
