"""The difference between two versions of a flow, in the words of the form."""

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from accessflows.durations import spell
from accessflows.models import AccessFlow

_WORDS = {
    "name": "Access Flow Name",
    "description": "Description",
    "require_mfa": "Require MFA",
    "requestor_groups": "Groups who can request",
    "requestor_users": "People who can request",
    "targets": "What they get",
    "max_duration_s": "Longest duration",
    "availability": "Can be requested",
    "approval": "Decision",
    "approver_groups": "Approver groups",
    "approver_users": "Approvers by name",
    "require_justification": "Require justification",
    "require_approver_reason": "Require a reason from approvers",
    "allow_self_approval": "Requesters may approve their own request",
}


@dataclass(frozen=True)
class Difference:
    """One term that changed; ``before`` and ``after`` as the page says them."""

    term: str
    before: str
    after: str

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def difference(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return what differs between two results of `fingerprint.terms_of`, in the form's order."""
    return [
        Difference(word, _said(term, before.get(term)), _said(term, after.get(term)))
        for term, word in _WORDS.items()
        if before.get(term) != after.get(term)
    ]


def _said(term: str, value: Any) -> str:
    if isinstance(value, bool):
        return "On" if value else "Off"
    if isinstance(value, list):
        return ", ".join(sorted(str(each["label"]) for each in value)) or "Nobody"
    if term == "max_duration_s" and value is not None:
        return spell(timedelta(seconds=value))
    if term == "approval" and value in AccessFlow.Approval.values:
        return str(AccessFlow.Approval(value).label)
    return str(value) if value not in (None, "") else "Nothing"
