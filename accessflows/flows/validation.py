"""Validation of a flow's terms: the same for the form, the demo data and any other caller."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from accessflows.availability import DAYS
from accessflows.connectors.errors import ConnectorError, TargetUnavailable
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import InvalidInput
from accessflows.flows.terms import FlowInput
from accessflows.form_fields import UNKNOWN_CHOICE
from accessflows.models import AccessFlow, Permission, Resource
from accessflows.requesters import ATTRIBUTE_NAMES, EMAIL_DOMAIN, OPERATORS, Condition, values_of
from accessflows.tickets import pattern_error
from apono_portal.core.crypto import encryption
from apono_portal.core.formatting.durations import MAX_DURATION, format_duration
from mfa.models import Strength

Pair = tuple[int, int]

MAX_APPROVALS = 10
MAX_TIERS = 5
MAX_EXTENSIONS = 10
MAX_CONDITIONS = 20
MAX_VALUES = 200  # of one condition; a group has no limit
MAX_TEXT = 254
MIN_WAIT = timedelta(minutes=1)
ALLOW_DELEGATION = 'turn on "Allow permissions that can give others access"'
NAME_TAKEN = "Another access flow has this name. Choose a different one."


def check_terms(terms: FlowInput, *, flow: AccessFlow | None = None) -> None:
    """Raise InvalidInput with a sentence for every invalid field. Calls no target system."""
    errors = {
        "name": _name_error(terms.name, flow),
        "mfa_strength": _strength_error(terms),
        "requesters": _requester_error(terms),
        "targets": _targets_error(terms.targets, allow_delegation=terms.allow_delegation),
        "max_duration": _duration_error(terms.max_duration),
        "available_days": _availability_error(terms),
        "approval": _approval_error(terms),
        "approver_groups": _approver_error(terms),
        "approvals_required": _approvals_error(terms),
        "max_extensions": _extensions_error(terms),
        "extension_duration": _extension_duration_error(terms),
        **_escalation_error(terms),
        "ticket_pattern": pattern_error(terms.ticket_pattern),
        "agents": _agents_error(terms),
    } | _break_glass_errors(terms)
    if invalid := {field: sentence for field, sentence in errors.items() if sentence}:
        raise InvalidInput(invalid)


def check_with_targets(pairs: Iterable[Pair], *, allow_delegation: bool) -> None:
    """Ask the target systems whether these roles may ever be granted. Never call it in a transaction.

    Pairs that a flow already had were checked when they were added, and every activation checks again;
    leave them out, so that a flow can be tightened while its target is down.
    """
    permissions = Permission.objects.filter(pk__in={permission for _, permission in pairs})
    for permission in permissions.select_related("integration").order_by("pk"):
        if sentence := _target_refusal(permission, allow_delegation=allow_delegation):
            raise InvalidInput({"targets": sentence})


def _target_refusal(permission: Permission, *, allow_delegation: bool) -> str:
    integration = permission.integration
    try:
        connector_for(integration.kind).check_permission(
            integration.target(), permission.name, allow_delegation=allow_delegation
        )
    except encryption.DecryptionFailed:
        return f"The credential of {integration} can't be decrypted. Enter it again there."
    except TargetUnavailable as unavailable:
        return (
            f"Nothing was saved, because the permission {permission.name} on {integration} could not be "
            f"checked. {unavailable.sentence}"
        )
    except ConnectorError as refused:
        return f"The permission {permission.name} on {integration} can't be granted. {refused.sentence}"
    return ""


def _name_error(name: str, flow: AccessFlow | None) -> str:
    if not name.strip():
        return "Enter a name that requesters will recognize."
    if len(name) > 80 or not name.isprintable():
        return "Use at most 80 characters on one line."
    others = AccessFlow.objects.filter(name__iexact=name)
    if (others.exclude(pk=flow.pk) if flow else others).exists():
        return NAME_TAKEN
    return ""


def _strength_error(terms: FlowInput) -> str:
    if terms.mfa_strength not in Strength.values:
        return UNKNOWN_CHOICE
    if not terms.require_mfa and (terms.mfa_strength != Strength.ANY or terms.verify_every_request):
        return "Turn on Require MFA, or accept any method and don't verify every request."
    return ""


def _requester_error(terms: FlowInput) -> str:
    conditions = [one for conditions in terms.requesters for one in conditions]
    if not all(terms.requesters) or not conditions:
        return "Nobody can request yet. Add a condition."
    if len(conditions) > MAX_CONDITIONS:
        return f"Use at most {MAX_CONDITIONS} conditions. A group can stand for several."
    return next(filter(None, map(condition_error, conditions)), "") or _existence_error(
        values_of(terms.requesters, "user"), values_of(terms.requesters, "group")
    )


def condition_error(condition: Condition) -> str:
    """Return why a condition is not complete, or an empty string."""
    if condition.operator not in OPERATORS.get(condition.attribute, ()):
        return UNKNOWN_CHOICE
    if None in condition.values:
        return (
            "A group in this condition was deleted. Remove the condition or choose another group."
        )
    if not condition.values:
        return f"Choose at least one {ATTRIBUTE_NAMES[condition.attribute].lower()}."
    if len(condition.values) > MAX_VALUES:
        return f"Choose at most {MAX_VALUES}. For more users, use a group."
    texts = [str(value) for value in condition.values]
    if condition.column == "text" and not all(map(_is_plain_text, texts)):
        return "Enter at most 254 characters on one line."
    if condition.attribute == EMAIL_DOMAIN and any(_is_no_domain(text) for text in texts):
        return "Enter a domain such as example.com."
    return ""


def _is_no_domain(text: str) -> bool:
    return text != text.lower() or not set("@ ,").isdisjoint(text)


def _is_plain_text(text: str) -> bool:
    return 0 < len(text.strip()) <= MAX_TEXT and text.isprintable()


def _availability_error(terms: FlowInput) -> str:
    times = (terms.available_from, terms.available_until)
    if not terms.available_days:
        return "Choose the days on which access can be requested." if any(times) else ""
    if not set(terms.available_days) <= set(range(len(DAYS))):
        return UNKNOWN_CHOICE
    if None in times or terms.available_from == terms.available_until:
        return "Enter two different times, From and To, for these days."
    if terms.available_zone not in available_timezones():
        return "Choose the time zone of these hours."
    return ""


def _approval_error(terms: FlowInput) -> str:
    valid = terms.approval in AccessFlow.Approval.values
    return "" if valid else "Choose how requests are approved."


def _agents_error(terms: FlowInput) -> str:
    if terms.agents not in AccessFlow.Agents.values:
        return "Choose what AI agents can do."
    if terms.break_glass and terms.agents != AccessFlow.Agents.NONE:
        return "AI agents cannot use break-glass access. Choose Not allowed."
    return ""


def _break_glass_errors(terms: FlowInput) -> dict[str, str]:
    """Return what break-glass access skips although it must not, and what it has but must not."""
    if not terms.break_glass:
        return {}
    errors = {}
    if not terms.require_mfa:
        errors["require_mfa"] = "Break-glass access requires MFA. Turn on Require MFA."
    if terms.approval != AccessFlow.Approval.AUTOMATIC:
        errors["approval"] = "Break-glass access needs no approval. Choose Automatic."
    if not terms.require_justification:
        errors["require_justification"] = (
            "Break-glass access needs a reason. Turn on Require justification."
        )
    return errors


def _approver_error(terms: FlowInput) -> str:
    if terms.approval == AccessFlow.Approval.AUTOMATIC:
        if terms.approver_users or terms.approver_groups:
            return "Automatic approval has no approvers. Remove them or choose another approval."
        return ""
    if not terms.approver_users and not terms.approver_groups:
        return "Choose at least one approver group or user, or make approval automatic."
    return _existence_error(terms.approver_users, terms.approver_groups)


def _existence_error(users: Collection[int], groups: Collection[int]) -> str:
    if get_user_model()._default_manager.filter(pk__in=users).count() != len(users):
        return "One of the users no longer exists. Choose again."
    if Group.objects.filter(pk__in=groups).count() != len(groups):
        return "One of the groups no longer exists. Choose again."
    return ""


def _duration_error(duration: timedelta) -> str:
    if duration <= timedelta(0):
        return "Enter more than zero."
    return f"Enter at most {format_duration(MAX_DURATION)}." if duration > MAX_DURATION else ""


def _targets_error(pairs: frozenset[Pair], *, allow_delegation: bool) -> str:
    if not pairs:
        return "Choose at least one resource and permission."
    resources = Resource.objects.select_related("integration").in_bulk({r for r, _ in pairs})
    permissions = Permission.objects.select_related("integration").in_bulk({p for _, p in pairs})
    for resource_id, permission_id in sorted(pairs):
        resource, permission = resources.get(resource_id), permissions.get(permission_id)
        if resource is None or permission is None:
            return UNKNOWN_CHOICE
        if sentence := pair_error(resource, permission):
            return sentence
        if permission.delegation and not allow_delegation:
            return f"{permission.delegation} Remove it, or {ALLOW_DELEGATION}."
    return ""


def pair_error(resource: Resource, permission: Permission) -> str:
    """Return why a flow must not grant this permission on this resource, or an empty string."""
    integration = resource.integration
    if permission.integration_id != integration.pk:
        return f"{resource} and {permission} belong to different integrations. Choose again."
    if not integration.is_active:
        return f"The integration {integration} is disabled. Enable it or remove {resource}."
    if not resource.is_present:
        return f"{resource} no longer exists on {integration}. Remove it."
    if not permission.is_present:
        return f"The permission {permission} no longer exists on {integration}. Remove it."
    if permission.refusal:
        return (
            f"The permission {permission} on {integration} can't be granted. {permission.refusal}"
        )
    if not permission.reaches(resource):
        return f"The permission {permission} doesn't allow connecting to {resource}. Remove this choice."
    return ""


def _approvals_error(terms: FlowInput) -> str:
    if not 1 <= terms.approvals_required <= MAX_APPROVALS:
        return f"Enter 1 to {MAX_APPROVALS} approvals."
    if terms.approval == AccessFlow.Approval.AUTOMATIC and terms.approvals_required > 1:
        return "Automatic approval has no approvers. Enter 1 or choose another approval."
    return ""


def _extensions_error(terms: FlowInput) -> str:
    if not 0 <= terms.max_extensions <= MAX_EXTENSIONS:
        return f"Enter 0 to {MAX_EXTENSIONS} extensions."
    return ""


def _extension_duration_error(terms: FlowInput) -> str:
    if terms.extension_duration < MIN_WAIT:
        return f"An extension lasts at least {format_duration(MIN_WAIT)}."
    total = terms.max_duration + terms.max_extensions * terms.extension_duration
    if terms.max_extensions and total > MAX_DURATION:
        return (
            f"With all extensions, access would last {format_duration(total)}. The maximum is "
            f"{format_duration(MAX_DURATION)}."
        )
    return ""


def _escalation_error(terms: FlowInput) -> dict[str, str]:
    """Return the first sentence, under the field of its row."""
    tiers = terms.escalation
    if not tiers:
        return {}
    if terms.approval == AccessFlow.Approval.AUTOMATIC:
        return _at(1, "Automatic approval has no approvers. Remove this group.")
    if len(tiers) > MAX_TIERS:
        return _at(MAX_TIERS, f"Use at most {MAX_TIERS} escalation steps.")
    existing = set(Group.objects.values_list("pk", flat=True))
    earlier = set(terms.approver_groups)
    total_wait = timedelta(0)
    for number, (wait, group) in enumerate(tiers, start=1):
        total_wait += wait
        if group not in existing:
            return _at(number, "This group no longer exists. Choose again.")
        if group in earlier:
            return _at(number, "This group is already an approver. Choose another.")
        if sentence := _wait_error(wait, total_wait):
            return _at(number, sentence)
        earlier.add(group)
    return {}


def _wait_error(wait: timedelta, total_wait: timedelta) -> str:
    if wait < MIN_WAIT:
        return f"Wait at least {format_duration(MIN_WAIT)}."
    if total_wait >= settings.APPROVAL_LIFETIME:
        lifetime = format_duration(settings.APPROVAL_LIFETIME)
        return f"A request lapses after {lifetime} without a decision. Enter a shorter wait."
    return ""


def _at(number: int, sentence: str) -> dict[str, str]:
    return {f"escalation_group_{number}": sentence}
