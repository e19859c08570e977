"""The difference between two versions of a flow, in the words of the form."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from accessflows.models import AccessFlow
from apono_portal.core.formatting.durations import format_duration

_WORDS = {
    "name": "Access Flow Name",
    "description": "Description",
    "require_mfa": "Require MFA",
    "requester_groups": "Groups who can request",
    "requester_users": "People who can request",
    "targets": "What they get",
    "max_duration_s": "Longest duration",
    "max_extensions": "Extensions",
    "extension_duration_s": "Each extension",
    "availability": "Can be requested",
    "approval": "Decision",
    "approvals_required": "Approvals needed",
    "approver_groups": "Approver groups",
    "approver_users": "Approvers by name",
    "escalation": "If nobody decides",
    "require_justification": "Require justification",
    "ticket_pattern": "What a ticket looks like",
    "require_ticket": "Require a ticket",
    "require_approver_reason": "Require a reason from approvers",
    "allow_self_approval": "Requesters may approve their own request",
}


@dataclass(frozen=True)
class Difference:
    """One term that changed; ``before`` and ``after`` as the page says them.

    ``gained`` and ``lost`` are what came and went where the term is a list; else both are empty.
    """

    term: str
    before: str
    after: str
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, str]:
        return {"term": self.term, "before": self.before, "after": self.after}


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return what differs between two results of `fingerprint.terms_of`, in the form's order."""
    return [
        _difference(term, before.get(term), after.get(term))
        for term in _WORDS
        if before.get(term) != after.get(term)
    ]


def in_words(terms: dict[str, Any]) -> list[tuple[str, str]]:
    """Return all terms of a version as the form's words and what they said, in the form's order."""
    return [(word, _said(term, terms[term])) for term, word in _WORDS.items() if term in terms]


def _difference(term: str, before: Any, after: Any) -> Difference:
    said_before, said_after = _said(term, before), _said(term, after)
    if not isinstance(after, list):
        return Difference(_WORDS[term], said_before, said_after)
    old, new = _labels(before or []), _labels(after)
    if old == new:  # the same names at another address
        old, new = _labels(before or [], "address"), _labels(after, "address")
    return Difference(
        _WORDS[term],
        said_before,
        said_after,
        gained=tuple(sorted(new - old)),
        lost=tuple(sorted(old - new)),
    )


def _labels(values: list[dict[str, Any]], *further: str) -> set[str]:
    names = ("label", *further)
    return {", ".join(str(each.get(name, "")) for name in names) for each in values}


def _said(term: str, value: Any) -> str:
    if isinstance(value, bool):
        return "On" if value else "Off"
    if isinstance(value, list):
        return ", ".join(sorted(str(each["label"]) for each in value)) or "Nobody"
    if term in {"max_duration_s", "extension_duration_s"} and value is not None:
        return format_duration(timedelta(seconds=value))
    if term == "approval" and value in AccessFlow.Approval.values:
        return str(AccessFlow.Approval(value).label)
    return str(value) if value not in (None, "") else "Nothing"
