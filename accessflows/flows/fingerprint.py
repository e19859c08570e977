"""What a flow means: its terms as JSON, and the fingerprint of all that matters to a request.

The terms carry labels, so that an old version stays readable when users and groups are gone. The
fingerprint is computed without them: renaming a group invalidates no approval, while a changed target
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
from django.db.models import Manager, QuerySet, Value

from accessflows.flows.selectors import all_targets_of, requester_sets_of
from accessflows.flows.terms import FlowInput, Terms
from accessflows.models import AccessFlow, EscalationTier, FlowTarget, Permission, Resource
from accessflows.requesters import Sets, describe, values_of
from apono_portal.core.formatting.durations import format_duration

ALWAYS = "Always"
Item = dict[str, object]
_IGNORED = {"name", "description", "label", "availability"}
# Terms added in later releases. At their default they are left out, so that an upgrade invalidates no
# pending request.
_ADDED_LATER = {
    "ticket_pattern": "",
    "require_ticket": False,
    "allow_delegation": False,
    "mfa_strength": "any",
    "verify_every_request": False,
    "break_glass": False,
    "agents": "none",
}


def terms_of(flow: AccessFlow) -> Terms:
    """Return all terms of a flow as JSON values, lists in a fixed order."""
    targets = flow.targets.select_related("resource__integration", "permission")
    tiers = flow.escalation_tiers.select_related("group")
    return {
        **_plain(flow),
        "requesters": _requesters(requester_sets_of(flow)),
        "targets": _targets((target.resource, target.permission) for target in targets),
        "approver_users": _labelled(flow.approver_users),
        "approver_groups": _labelled(flow.approver_groups),
        "escalation": _escalation((tier.wait, tier.group) for tier in tiers),
    }


def terms_of_draft(draft: FlowInput) -> Terms:
    """Return what `terms_of` will return once a flow is saved with these terms."""
    users = get_user_model()._default_manager
    resources = Resource.objects.select_related("integration").in_bulk(
        {resource for resource, _ in draft.targets}
    )
    permissions = Permission.objects.in_bulk({permission for _, permission in draft.targets})
    groups = Group.objects.in_bulk({group for _, group in draft.escalation})
    return {
        **_plain(draft),
        "requesters": _requesters(draft.requesters),
        "targets": _targets(
            (resources[resource], permissions[permission])
            for resource, permission in draft.targets
            if resource in resources and permission in permissions
        ),
        "approver_users": _labelled(users.filter(pk__in=draft.approver_users)),
        "approver_groups": _labelled(Group.objects.filter(pk__in=draft.approver_groups)),
        "escalation": _escalation(
            (wait, groups[group]) for wait, group in draft.escalation if group in groups
        ),
    }


def compute_fingerprint(flow: AccessFlow, targets: Iterable[FlowTarget] | None = None) -> str:
    """Return ``fingerprint_of(terms_of(flow))`` in three statements, or in two if ``targets`` are all the
    targets of the flow, just read."""
    related: dict[str, list[Item]] = {name: [] for name in _RELATED}
    escalation = []
    for name, pk, _position, wait in sorted(_related_ids(flow), key=itemgetter(0, 2, 1)):
        if name == "escalation":
            escalation.append({"group": pk, "wait_s": int(wait.total_seconds())})
        else:
            related[name].append({"id": pk})
    targets = all_targets_of(flow) if targets is None else targets
    pairs = ((target.resource, target.permission) for target in targets)
    return fingerprint_of(
        {
            **_plain(flow),
            **related,
            "requesters": _requester_items(requester_sets_of(flow)),
            "targets": _targets(pairs),
            "escalation": escalation,
        }
    )


_RELATED = {
    "approver_users": "user_id",
    "approver_groups": "group_id",
}


def _related_ids(flow: AccessFlow) -> QuerySet[Any, Any]:
    """Return (term, id, position, wait) of every approver, approver group and escalation tier."""
    tiers = EscalationTier.objects.filter(flow=flow).order_by()
    rows = tiers.values_list(Value("escalation"), "group_id", "position", "wait")
    others = (
        getattr(AccessFlow, name)
        .through._default_manager.filter(accessflow=flow)
        .values_list(Value(name), column, Value(0), Value(timedelta(0)))
        for name, column in _RELATED.items()
    )
    return rows.union(*others, all=True)


def fingerprint_of(terms: Terms) -> str:
    """Return the SHA-256 of the terms that matter, as 64 hexadecimal digits."""
    canonical = json.dumps(_without_labels(terms), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _without_labels(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_labels(v) for k, v in value.items() if _matters(k, v)}
    if isinstance(value, list):
        return [_without_labels(item) for item in value]
    return value


def _matters(term: str, value: object) -> bool:
    return term not in _IGNORED and not (term in _ADDED_LATER and value == _ADDED_LATER[term])


def _requesters(sets: Sets) -> list[Item]:
    """Return the sets of conditions, each with its description."""
    users = get_user_model()._default_manager.in_bulk(values_of(sets, "user"))
    groups = Group.objects.in_bulk(values_of(sets, "group"))
    labels = {
        "user": {pk: str(user) for pk, user in users.items()},
        "group": {pk: group.name for pk, group in groups.items()},
    }
    return _requester_items(sets, labels)


def _requester_items(sets: Sets, labels: dict[str, dict[int, str]] | None = None) -> list[Item]:
    """Return the sets in an order of their own: neither theirs nor that of their conditions matters."""
    items: list[Item] = []
    for conditions in sets:
        facts = [
            {
                "attribute": one.attribute,
                "operator": one.operator,
                "values": sorted(one.values, key=str),
            }
            for one in conditions
        ]
        items.append(
            {"conditions": sorted(facts, key=str), "label": describe(conditions, labels or {})}
        )
    return sorted(items, key=lambda item: str(item["conditions"]))


def _labelled(rows: Manager[Any] | QuerySet[Any]) -> list[Item]:
    return [{"id": row.pk, "label": str(row)} for row in rows.order_by("pk")]


def _plain(source: AccessFlow | FlowInput) -> Terms:
    """Return the terms that a flow and a draft have under the same names."""
    return {
        "name": source.name,
        "description": source.description,
        "require_mfa": source.require_mfa,
        "mfa_strength": str(source.mfa_strength),
        "verify_every_request": source.verify_every_request,
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
        "allow_delegation": source.allow_delegation,
        "break_glass": source.break_glass,
        "agents": str(source.agents),
    }


def _escalation(steps: Iterable[tuple[timedelta, Group]]) -> list[Item]:
    return [
        {
            "group": group.pk,
            "wait_s": int(wait.total_seconds()),
            "label": f"{position}. {group} after {format_duration(wait)}",
        }
        for position, (wait, group) in enumerate(steps, start=1)
    ]


def _targets(pairs: Iterable[tuple[Resource, Permission]]) -> list[Item]:
    """Sorted here because databases sort letters differently."""
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
