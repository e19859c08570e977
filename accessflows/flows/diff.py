"""The difference between two versions of a flow, in the words of the form."""

from dataclasses import dataclass
from datetime import timedelta

from accessflows.flows.terms import Terms
from accessflows.models import AccessFlow
from apono_portal.core.formatting.durations import format_duration
from mfa.models import Strength

_LABELS = {
    "name": "Access Flow Name",
    "description": "Description",
    "require_mfa": "Require MFA",
    "mfa_strength": "Accepted methods",
    "verify_every_request": "Verify for every request",
    "requesters": "Who can request",
    "targets": "Resources and permissions",
    "max_duration_s": "Max duration",
    "max_extensions": "Extensions",
    "extension_duration_s": "Extension duration",
    "availability": "Availability",
    "break_glass": "Break-glass",
    "approval": "Approval",
    "approvals_required": "Approvals needed",
    "approver_groups": "Approver groups",
    "approver_users": "Approvers by name",
    "escalation": "Escalation",
    "require_justification": "Require justification",
    "ticket_pattern": "Ticket pattern",
    "require_ticket": "Require a ticket",
    "require_approver_reason": "Require a reason from approvers",
    "allow_self_approval": "Requesters can approve their own requests",
    "allow_delegation": "Allow permissions that can give others access",
    "agents": "AI agents",
}


@dataclass(frozen=True)
class Difference:
    """One term that changed, with the text of its old and new value.

    For a list, ``added`` and ``removed`` are its changed items; else both are empty.
    """

    term: str
    before: str
    after: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str]:
        return {"term": self.term, "before": self.before, "after": self.after}


def difference(before: Terms, after: Terms) -> list[Difference]:
    """Return what differs between two results of `fingerprint.terms_of`, in the form's order."""
    return [
        _difference(term, before.get(term), after.get(term))
        for term in _LABELS
        if before.get(term) != after.get(term)
    ]


def describe_terms(terms: Terms) -> list[tuple[str, str]]:
    """Return all terms of a version as (label, value), in the form's order."""
    return [(label, _text(term, terms[term])) for term, label in _LABELS.items() if term in terms]


def _difference(term: str, before: object, after: object) -> Difference:
    texts = _text(term, before), _text(term, after)
    if not isinstance(after, list):
        return Difference(_LABELS[term], *texts)
    earlier = before if isinstance(before, list) else []
    old, new = _items(earlier), _items(after)
    if old == new:  # the same names at another address
        old, new = _items(earlier, "address"), _items(after, "address")
    return Difference(
        _LABELS[term], *texts, added=tuple(sorted(new - old)), removed=tuple(sorted(old - new))
    )


def _items(values: list[dict[str, object]], *further: str) -> set[str]:
    keys = ("label", *further)
    return {", ".join(str(value.get(key, "")) for key in keys) for value in values}


def _text(term: str, value: object) -> str:
    if isinstance(value, bool):
        return "On" if value else "Off"
    if isinstance(value, list):
        return ", ".join(sorted(str(item["label"]) for item in value)) or "None"
    if term in {"max_duration_s", "extension_duration_s"} and isinstance(value, int):
        return format_duration(timedelta(seconds=value))
    if term == "approval" and value in AccessFlow.Approval.values:
        return str(AccessFlow.Approval(value).label)
    if term == "agents" and value in AccessFlow.Agents.values:
        return str(AccessFlow.Agents(value).label)
    if term == "mfa_strength" and value in Strength.values:
        return str(Strength(value).label)
    return str(value) if value not in (None, "") else "None"
