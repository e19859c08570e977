"""The terms of a flow as sentences, for the review beside its form."""

from datetime import timedelta
from typing import Any

from accessflows.flows.terms import Terms
from accessflows.models import AccessFlow
from apono_portal.core.formatting.durations import format_duration
from mfa.models import Strength

MAX_NAMED = 3
_METHODS = {
    str(Strength.ANY): "any method",
    str(Strength.PHISHING_RESISTANT): "a passkey",
    str(Strength.DEVICE_BOUND): "a device-bound passkey",
}
_AGENTS = {
    str(AccessFlow.Agents.REQUEST): "Their AI agents can request; they never get credentials.",
    str(AccessFlow.Agents.REVEAL): "Their AI agents can request and get credentials.",
}


def sentences(terms: Terms) -> list[str]:
    """Return what `fingerprint.terms_of` means, in the order of the form."""
    texts = (_requesters, _targets, _verification, _approval, _escalation, _duration, _agents)
    return [sentence for text in texts if (sentence := text(terms))]


def _requesters(terms: Terms) -> str:
    sets = [f"if {label}" for label in _labels(terms["requesters"])]
    return f"Users can request {_first(sets, ', or ')}."


def _targets(terms: Terms) -> str:
    return f"They can request {_first(_labels(terms['targets']))}."


def _verification(terms: Terms) -> str:
    if not terms["require_mfa"]:
        return "They don't have to verify."
    often = "for every request" if terms["verify_every_request"] else "once an hour"
    return f"They verify with {_METHODS[terms['mfa_strength']]} first, {often}."


def _approval(terms: Terms) -> str:
    if terms["approval"] == AccessFlow.Approval.AUTOMATIC:
        return "Requests are approved automatically."
    names = _first(_labels(terms["approver_groups"]) + _labels(terms["approver_users"]))
    needed = terms["approvals_required"]
    if terms["approval"] == AccessFlow.Approval.ALL_OF:
        return f"{needed} of each must approve: {names}."
    return f"{needed} of these must approve: {names}."


def _escalation(terms: Terms) -> str:
    if not terms["escalation"]:
        return ""
    steps = [label.partition(". ")[2] for label in _labels(terms["escalation"])]
    return f"If nobody decides, these can too: {_first(steps)}."


def _duration(terms: Terms) -> str:
    longest = format_duration(timedelta(seconds=terms["max_duration_s"]))
    if not terms["max_extensions"]:
        return f"Access lasts up to {longest} and expires automatically."
    step = format_duration(timedelta(seconds=terms["extension_duration_s"]))
    times = "once" if terms["max_extensions"] == 1 else f"{terms['max_extensions']} times"
    return f"Access lasts up to {longest}, can be extended {times} by {step}, and expires automatically."


def _agents(terms: Terms) -> str:
    return _AGENTS.get(terms["agents"], "")


def _labels(items: list[dict[str, Any]]) -> list[str]:
    return [str(item["label"]) for item in items]


def _first(labels: list[str], separator: str = ", ") -> str:
    more = [f"{len(labels) - MAX_NAMED} more"] if len(labels) > MAX_NAMED else []
    return separator.join(labels[:MAX_NAMED] + more)
