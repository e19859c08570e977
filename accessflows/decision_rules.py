"""Do the rules of a decision and of extensions hold: how many approvals, who comes later, how long."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group

from accessflows.durations import LONGEST, spell
from accessflows.models import AccessFlow
from accessflows.terms import FlowTerms

MOST_APPROVALS = 10
MOST_TIERS = 5
MOST_EXTENSIONS = 10
SHORTEST_WAIT = timedelta(minutes=1)


def rule_errors(terms: FlowTerms) -> dict[str, str]:
    """Return a sentence, maybe empty, for each of these fields of the form."""
    return {
        "approvals_required": _approvals_error(terms),
        "max_extensions": _extensions_error(terms),
        "extension_duration": _extension_duration_error(terms),
        **_escalation_error(terms),
    }


def _approvals_error(terms: FlowTerms) -> str:
    if not 1 <= terms.approvals_required <= MOST_APPROVALS:
        return f"Between 1 and {MOST_APPROVALS} approvals can be asked for."
    if terms.approval == AccessFlow.Approval.AUTOMATIC and terms.approvals_required > 1:
        return "An automatic flow asks nobody. Enter 1, or choose another decision."
    return ""


def _extensions_error(terms: FlowTerms) -> str:
    if not 0 <= terms.max_extensions <= MOST_EXTENSIONS:
        return f"Access can be extended between 0 and {MOST_EXTENSIONS} times."
    return ""


def _extension_duration_error(terms: FlowTerms) -> str:
    if terms.extension_duration < SHORTEST_WAIT:
        return f"An extension lasts at least {spell(SHORTEST_WAIT)}."
    longest = terms.max_duration + terms.max_extensions * terms.extension_duration
    if terms.max_extensions and longest > LONGEST:
        return (
            f"With all extensions access would last {spell(longest)}; {spell(LONGEST)} is the most."
        )
    return ""


def _escalation_error(terms: FlowTerms) -> dict[str, str]:
    """The first sentence, at the row it is about."""
    tiers = terms.escalation
    if not tiers:
        return {}
    if terms.approval == AccessFlow.Approval.AUTOMATIC:
        return _at(1, "An automatic flow asks nobody. Take this group out.")
    if len(tiers) > MOST_TIERS:
        return _at(MOST_TIERS, f"At most {MOST_TIERS} further groups can be asked.")
    known = set(Group.objects.values_list("pk", flat=True))
    seen = set(terms.approver_groups)
    passed = timedelta(0)
    for number, (wait, group) in enumerate(tiers, start=1):
        passed += wait
        if sentence := _tier_error(wait, group, known=known, seen=seen, passed=passed):
            return _at(number, sentence)
        seen.add(group)
    return {}


def _tier_error(
    wait: timedelta, group: int, *, known: set[int], seen: set[int], passed: timedelta
) -> str:
    if group not in known:
        return "This group is not known any more. Choose again."
    if group in seen:
        return "This group is asked before. Choose another."
    if wait < SHORTEST_WAIT:
        return f"Wait at least {spell(SHORTEST_WAIT)}."
    if passed >= settings.APPROVAL_LIFETIME:
        return (
            f"A request lapses after {spell(settings.APPROVAL_LIFETIME)} without a decision, before "
            "this group would be asked. Wait less."
        )
    return ""


def _at(number: int, sentence: str) -> dict[str, str]:
    return {f"escalation_group_{number}": sentence}
