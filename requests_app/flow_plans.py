"""A plan of access flows as people and programs read it, with what it does to requests and access."""

from typing import Any

from accessflows.flows.diff import Difference
from accessflows.flows.files.plan import FlowChange, FlowPlan
from accessflows.flows.impact import DraftImpact, UserNames
from requests_app.deletion.flows import (
    FlowUsage,
    VoidedRequests,
    flow_usage,
    requests_voided_by,
)

_SIGNS = {"create": "+", "deactivate": "-", "release": "-"}
_VERBS = {
    "create": "to create",
    "change": "to change",
    "activate": "to activate",
    "deactivate": "to deactivate",
    "manage": "to manage by this file",
    "release": "to release from this file",
}


def describe_plan(plan: FlowPlan) -> dict[str, Any]:
    """Return a plan as JSON values."""
    return {
        "has_changes": bool(plan.changes),
        "file": plan.source.file,
        "commit": plan.source.commit,
        "digest": plan.digest,
        "unchanged": plan.unchanged,
        "left_out": plan.left_out,
        "changes": [{**change.as_dict(), **_effects(change)} for change in plan.changes],
    }


def plan_text(plan: FlowPlan) -> str:
    """Return a plan as lines of text."""
    lines = [line for change in plan.changes for line in [*_change_lines(change), ""]]
    lines += [
        f"{name} is managed by this file but no longer in it. It stays as it is."
        for name in plan.left_out
    ]
    return "\n".join([*lines, _summary(plan)])


def _summary(plan: FlowPlan) -> str:
    if not plan.changes:
        return f"Nothing changes. Access flows in the file: {plan.unchanged}."
    actions = [action for change in plan.changes for action in change.actions]
    counts = [f"{actions.count(one)} {verb}" for one, verb in _VERBS.items() if one in actions]
    text = f"Access flows: {', '.join(counts)}; {plan.unchanged} unchanged."
    weakened = sum(bool(change.weakened) for change in plan.changes)
    return f"{text} Protection is weaker in {weakened}, marked with !." if weakened else text


def _change_lines(change: FlowChange) -> list[str]:
    sign = next((_SIGNS[action] for action in change.actions if action in _SIGNS), "~")
    actions = ", ".join(_VERBS[action] for action in change.actions)
    return [
        f"{sign} {change.name} ({actions})",
        *(f"  ! Weaker protection: {sentence}" for sentence in change.weakened),
        *_impact_lines(change.impact, is_new=change.flow is None),
        *(f"    {sentence}" for sentence in _effect_lines(change)),
    ]


def _impact_lines(impact: DraftImpact | None, *, is_new: bool) -> list[str]:
    if impact is None:
        return []
    lines = list(impact.summary) if is_new else [_difference(one) for one in impact.differences]
    reach = f"{_count(impact.reach.users, 'user')} can request"
    if impact.reach.without_mfa:
        reach += f"; not set up MFA: {impact.reach.without_mfa}"
    lines.append(f"{reach}.")
    if impact.gaining.count and not is_new:
        lines.append(f"Can request from now on: {_names(impact.gaining)}.")
    if impact.losing.count:
        lines.append(f"Can no longer request: {_names(impact.losing)}.")
    lines += [f"{sentence}" for sentence in impact.delegations]
    lines += [
        f"{group} has no active members, so nobody in it can decide."
        for group in impact.empty_groups
    ]
    return [f"    {line}" for line in lines]


def _difference(difference: Difference) -> str:
    if not difference.added and not difference.removed:
        return f"{difference.term}: {difference.before} -> {difference.after}"
    items = [f"- {name}" for name in difference.removed] + [
        f"+ {name}" for name in difference.added
    ]
    return f"{difference.term}: {', '.join(items)}"


def _names(names: UserNames) -> str:
    more = f" and {names.more} more" if names.more else ""
    return f"{_count(names.count, 'user')}: {', '.join(names.first)}{more}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _usage(change: FlowChange) -> tuple[FlowUsage, VoidedRequests] | None:
    if change.flow is None or (change.impact is None and change.is_active is not False):
        return None
    fingerprint = change.impact.fingerprint if change.impact else change.flow.fingerprint
    return flow_usage(change.flow), requests_voided_by(change.flow, fingerprint)


def _effects(change: FlowChange) -> dict[str, Any]:
    """Return what a change does to requests, which the digest of a plan leaves out: they come and go."""
    usage = _usage(change)
    if usage is None:
        return {"pending_cancelled": 0, "active_revoked": 0}
    use, voided = usage
    is_ended = change.is_active is False
    return {
        "pending_cancelled": use.pending if is_ended else voided.count,
        "active_revoked": use.live if is_ended else 0,
    }


def _effect_lines(change: FlowChange) -> list[str]:
    effects = _effects(change)
    lines = []
    if effects["pending_cancelled"]:
        lines.append(f"Pending requests that will be cancelled: {effects['pending_cancelled']}.")
    if effects["active_revoked"]:
        lines.append(f"Active access that will be revoked: {effects['active_revoked']}.")
    return lines
