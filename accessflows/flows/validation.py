"""Do the terms of a flow hold? The same answer for the form, the demo data and any other caller."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from accessflows.availability import DAYS
from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import InvalidInput
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow, Permission, Resource
from accessflows.tickets import pattern_error
from apono_portal.core.crypto import encryption
from apono_portal.core.formatting.durations import MAX_DURATION, format_duration

Pair = tuple[int, int]


def check_terms(terms: FlowInput, *, flow: AccessFlow | None = None) -> None:
    """Raise InvalidInput with a sentence for every field that does not hold. Asks no target."""
    errors = {
        "name": _name_error(terms.name, flow),
        "requester_groups": _requestor_error(terms),
        "targets": _targets_error(terms.targets),
        "max_duration": _duration_error(terms.max_duration),
        "available_days": _availability_error(terms),
        "approval": _approval_error(terms),
        "approver_groups": _approver_error(terms),
        **rule_errors(terms),
        "ticket_pattern": pattern_error(terms.ticket_pattern),
    }
    if found := {field: sentence for field, sentence in errors.items() if sentence}:
        raise InvalidInput(found)


def check_with_targets(pairs: Iterable[Pair]) -> None:
    """Ask the target systems whether these roles may ever be granted. Never inside a transaction.

    Pairs a flow already had need no draft: they were asked when they came, and every activation
    asks again, so that a flow can be tightened while its target is down.
    """
    for permission in (
        Permission.objects.filter(pk__in={permission for _, permission in pairs})
        .select_related("integration")
        .order_by("pk")
    ):
        if sentence := _refusal(permission):
            raise InvalidInput({"targets": sentence})


def _refusal(permission: Permission) -> str:
    integration = permission.integration
    try:
        connector_for(integration.kind).check_permission(integration.target(), permission.name)
    except encryption.DecryptionFailed:
        return f"The broker's password of {integration} cannot be opened. Enter it again there."
    except TargetUnavailable as unavailable:
        return (
            f"The role {permission.name} on {integration} could not be checked now, so nothing was "
            f"saved. {unavailable.sentence}"
        )
    except ConnectorError as refused:
        return f"The role {permission.name} on {integration} cannot be given. {refused.sentence}"
    return ""


def _name_error(name: str, flow: AccessFlow | None) -> str:
    if not name.strip():
        return "Give the flow a name that requesters recognise."
    if len(name) > 80 or not name.isprintable():
        return "A name has at most 80 characters, on one line."
    others = AccessFlow.objects.filter(name__iexact=name)
    if (others.exclude(pk=flow.pk) if flow else others).exists():
        return "Another access flow has this name. Choose a different one."
    return ""


def _requestor_error(terms: FlowInput) -> str:
    if not terms.requester_users and not terms.requester_groups:
        return "Choose at least one group or person who can request."
    return _people_error(terms.requester_users, terms.requester_groups)


def _availability_error(terms: FlowInput) -> str:
    times = (terms.available_from, terms.available_until)
    if not terms.available_days:
        return "Choose the days on which it can be requested." if any(times) else ""
    if not set(terms.available_days) <= set(range(len(DAYS))):
        return "One of the days is not known. Choose again."
    if None in times or terms.available_from == terms.available_until:
        return "Say from when until when on those days, two different times."
    if terms.available_zone not in available_timezones():
        return "Choose the time zone the hours are meant in."
    return ""


def _approval_error(terms: FlowInput) -> str:
    return "" if terms.approval in AccessFlow.Approval.values else "Choose how it is decided."


def _approver_error(terms: FlowInput) -> str:
    if terms.approval == AccessFlow.Approval.AUTOMATIC:
        if terms.approver_users or terms.approver_groups:
            return (
                "An automatic flow asks nobody. Take the approvers out, or choose another decision."
            )
        return ""
    if not terms.approver_users and not terms.approver_groups:
        return "Choose at least one approver group or person, or make the decision automatic."
    return _people_error(terms.approver_users, terms.approver_groups)


def _people_error(users: frozenset[int], groups: frozenset[int]) -> str:
    people: Any = get_user_model()._default_manager
    if people.filter(pk__in=users).count() != len(users):
        return "One of the people is not known any more. Choose again."
    if Group.objects.filter(pk__in=groups).count() != len(groups):
        return "One of the groups is not known any more. Choose again."
    return ""


def _duration_error(duration: timedelta) -> str:
    if duration <= timedelta(0):
        return "The longest duration is more than zero."
    return (
        f"The longest duration is at most {format_duration(MAX_DURATION)}."
        if duration > MAX_DURATION
        else ""
    )


def _targets_error(pairs: frozenset[Pair]) -> str:
    if not pairs:
        return "Choose at least one resource and permission."
    resources = Resource.objects.select_related("integration").in_bulk({r for r, _ in pairs})
    permissions = Permission.objects.select_related("integration").in_bulk({p for _, p in pairs})
    for resource_id, permission_id in sorted(pairs):
        resource, permission = resources.get(resource_id), permissions.get(permission_id)
        if resource is None or permission is None:
            return "One of the choices is not known any more. Choose again."
        if sentence := pair_error(resource, permission):
            return sentence
    return ""


def pair_error(resource: Resource, permission: Permission) -> str:
    """Return why a flow must not give this permission on this resource, or an empty string."""
    integration = resource.integration
    if permission.integration_id != integration.pk:
        return f"{resource} and {permission} belong to different integrations. Choose again."
    if not integration.is_active:
        return f"The integration {integration} is disabled. Enable it, or take {resource} out."
    if not resource.is_present:
        return f"{resource} is no longer on {integration}. Take it out."
    if not permission.is_present:
        return f"The role {permission} is no longer on {integration}. Take it out."
    if permission.refusal:
        return f"The role {permission} on {integration} cannot be given. {permission.refusal}"
    if not permission.reaches(resource):
        return f"The role {permission} gives nothing on {resource}. Take that choice out."
    return ""


MOST_APPROVALS = 10

MOST_TIERS = 5

MOST_EXTENSIONS = 10

SHORTEST_WAIT = timedelta(minutes=1)


def rule_errors(terms: FlowInput) -> dict[str, str]:
    """Return a sentence, maybe empty, for each of these fields of the form."""
    return {
        "approvals_required": _approvals_error(terms),
        "max_extensions": _extensions_error(terms),
        "extension_duration": _extension_duration_error(terms),
        **_escalation_error(terms),
    }


def _approvals_error(terms: FlowInput) -> str:
    if not 1 <= terms.approvals_required <= MOST_APPROVALS:
        return f"Between 1 and {MOST_APPROVALS} approvals can be asked for."
    if terms.approval == AccessFlow.Approval.AUTOMATIC and terms.approvals_required > 1:
        return "An automatic flow asks nobody. Enter 1, or choose another decision."
    return ""


def _extensions_error(terms: FlowInput) -> str:
    if not 0 <= terms.max_extensions <= MOST_EXTENSIONS:
        return f"Access can be extended between 0 and {MOST_EXTENSIONS} times."
    return ""


def _extension_duration_error(terms: FlowInput) -> str:
    if terms.extension_duration < SHORTEST_WAIT:
        return f"An extension lasts at least {format_duration(SHORTEST_WAIT)}."
    longest = terms.max_duration + terms.max_extensions * terms.extension_duration
    if terms.max_extensions and longest > MAX_DURATION:
        return f"With all extensions access would last {format_duration(longest)}; {format_duration(MAX_DURATION)} is the most."
    return ""


def _escalation_error(terms: FlowInput) -> dict[str, str]:
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
        return f"Wait at least {format_duration(SHORTEST_WAIT)}."
    if passed >= settings.APPROVAL_LIFETIME:
        return (
            f"A request lapses after {format_duration(settings.APPROVAL_LIFETIME)} without a decision, before "
            "this group would be asked. Wait less."
        )
    return ""


def _at(number: int, sentence: str) -> dict[str, str]:
    return {f"escalation_group_{number}": sentence}
