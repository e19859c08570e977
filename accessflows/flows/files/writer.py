"""Access flows as YAML, in a stable order: exporting what was just applied returns the same bytes."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any

import yaml
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from accessflows.exceptions import Refused
from accessflows.flows.files.document import DAYS, FlowEntry
from accessflows.flows.files.names import SAME
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from accessflows.requesters import Condition, values_of
from apono_portal.core.formatting.durations import format_duration

HEADER = "# Access flows. docs/flows-as-code.md describes this format.\n"
Entry = dict[str, Any]


def export_flows(flows: Iterable[AccessFlow]) -> str:
    """Return a file of these flows, ordered by name. Raises `Refused` for what no file can say."""
    entries = [_entry(flow) for flow in sorted(flows, key=lambda flow: flow.name)]
    return HEADER + yaml.dump(
        {"version": 1, "flows": entries},
        Dumper=yaml.SafeDumper,
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )


def optional_values(flow: AccessFlow, terms: FlowInput) -> Entry:
    """Return the values of a flow that are not at their default, of keys that a file may leave out."""
    values = {
        **{name: getattr(terms, name) for name in SAME},
        "mfa_strength": str(terms.mfa_strength),
        "agents": str(terms.agents),
        "active": flow.is_active,
        "extension_duration": format_duration(terms.extension_duration),
        "availability": _availability(terms),
        "approver_groups": sorted(flow.approver_groups.values_list("name", flat=True)),
        "approver_users": sorted(flow.approver_users.values_list("email", flat=True)),
        "escalation": [
            {"after": format_duration(step.wait), "group": step.group.name}
            for step in flow.escalation_tiers.select_related("group")
        ],
    }
    return {
        name: values[name]
        for name, field in FlowEntry.model_fields.items()
        if not field.is_required() and values[name] != field.get_default(call_default_factory=True)
    }


def _entry(flow: AccessFlow) -> Entry:
    """Return a flow in the order of the format, without what is at its default."""
    terms = FlowInput.of(flow)
    values = {
        **optional_values(flow, terms),
        "name": terms.name,
        "require_mfa": terms.require_mfa,
        "requesters": _requesters(flow, terms),
        "targets": _targets(flow),
        "max_duration": format_duration(terms.max_duration),
        "approval": str(terms.approval),
    }
    return {name: values[name] for name in FlowEntry.model_fields if name in values}


def _requesters(flow: AccessFlow, terms: FlowInput) -> list[Entry]:
    users = get_user_model()._default_manager.in_bulk(values_of(terms.requesters, "user"))
    groups = Group.objects.in_bulk(values_of(terms.requesters, "group"))
    names = {
        "user": {pk: user.email for pk, user in users.items()},
        "group": {pk: group.name for pk, group in groups.items()},
    }
    sets = [
        {"conditions": sorted((_condition(flow, one, names) for one in conditions), key=_order)}
        for conditions in terms.requesters
    ]
    return sorted(sets, key=lambda one: [_order(condition) for condition in one["conditions"]])


def _condition(flow: AccessFlow, condition: Condition, names: dict[str, dict[Any, str]]) -> Entry:
    if condition.column == "text":
        values = [str(value) for value in condition.values]
    else:
        known = names[condition.column]
        values = [known[value] for value in condition.values if value in known]
    if not values or len(values) < len(condition.values):
        raise Refused(
            f"{flow} has a condition that names a deleted user or group. Edit the access flow first."
        )
    return {
        "attribute": condition.attribute,
        "operator": condition.operator,
        "values": sorted(values),
    }


def _order(condition: Entry) -> tuple[str, str, list[str]]:
    return condition["attribute"], condition["operator"], condition["values"]


def _targets(flow: AccessFlow) -> list[Entry]:
    columns = ("resource__integration__name", "resource__name", "permission__name")
    rows = sorted(flow.targets.order_by().values_list(*columns))
    return [
        {
            "integration": integration,
            "resource": resource,
            "permissions": [permission for _, _, permission in of_resource],
        }
        for (integration, resource), of_resource in groupby(rows, key=itemgetter(0, 1))
    ]


def _availability(terms: FlowInput) -> Entry | None:
    if not terms.available_days or not terms.available_from or not terms.available_until:
        return None
    return {
        "days": [DAYS[day] for day in sorted(terms.available_days)],
        "from": f"{terms.available_from:%H:%M}",
        "until": f"{terms.available_until:%H:%M}",
        "time_zone": terms.available_zone,
    }
