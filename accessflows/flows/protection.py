"""Which changes of access flows weaken protection, in sentences, and how a second admin confirms them.

A target is as protected as the flows that give it out: a second flow with weaker terms is as much of a
way in as a weaker first one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from accessflows.dual_control.actions import (
    Arguments,
    Change,
    Difference,
    ProtectedAction,
    declare,
    differs,
)
from accessflows.flows.diff import describe_terms, difference
from accessflows.flows.fingerprint import terms_of, terms_of_draft
from accessflows.flows.terms import FlowInput, Terms
from accessflows.flows.validation import Pair, check_terms, check_with_targets
from accessflows.flows.weakening import weakenings
from accessflows.models import AccessFlow, FlowVersion, Permission, Resource


def weakenings_of_change(flow: AccessFlow, terms: FlowInput) -> Iterator[str]:
    """Yield how a flow's new terms protect its targets less than before."""
    before = FlowInput.of(flow)
    yield from weakenings(before, terms)
    yield from weakenings_of_targets(terms, terms.targets - before.targets, but=flow)


def weakenings_of_targets(
    terms: FlowInput, pairs: Iterable[Pair], *, but: AccessFlow | None = None
) -> Iterator[str]:
    """Yield how these terms protect targets less than every flow that gives them out, ``but`` one.

    Where none is active, the last version counts that ever gave the target out: a flow that was deleted,
    deactivated or edited first would otherwise make way for a weaker one.
    """
    sentences: set[str] = set()
    for resource, permission in pairs:
        weaker = [set(weakenings(one, terms)) for one in _terms_today(resource, permission, but)]
        sentences |= set.intersection(*weaker) if weaker else set()
    yield from sorted(sentences)


def _terms_today(resource: int, permission: int, but: AccessFlow | None) -> list[FlowInput]:
    flows = AccessFlow.objects.filter(
        is_active=True, targets__resource=resource, targets__permission=permission
    )
    others = flows.exclude(pk=but.pk) if but else flows
    return [FlowInput.of(flow) for flow in others] or _last_terms(resource, permission, but)


def _last_terms(resource_id: int, permission_id: int, but: AccessFlow | None) -> list[FlowInput]:
    """Return the protection in the last version that gave a target out; versions outlive their flow."""
    resource = Resource.objects.get(pk=resource_id)
    permission = Permission.objects.get(pk=permission_id)
    names = {
        "integration": resource.integration_id,
        "resource": resource.name,
        "permission": permission.name,
    }
    versions = FlowVersion.objects.order_by("-at", "-pk")
    others = versions.exclude(flow_id=but.pk) if but else versions
    for terms in others.values_list("terms", flat=True).iterator():
        if any(names.items() <= target.items() for target in terms["targets"]):
            return [protection_in(terms)]
    return []


def protection_in(terms: Terms) -> FlowInput:
    """Return what `weakenings` compares, of a version."""
    names = (
        *("require_mfa", "mfa_strength", "verify_every_request"),
        *("approval", "approvals_required", "allow_self_approval", "max_extensions"),
        "agents",
    )
    return FlowInput(
        name=terms["name"],
        targets=frozenset(),
        max_duration=timedelta(seconds=terms["max_duration_s"]),
        extension_duration=timedelta(seconds=terms["extension_duration_s"]),
        approver_users=frozenset(item["id"] for item in terms["approver_users"]),
        approver_groups=frozenset(item["id"] for item in terms["approver_groups"]),
        **{name: terms[name] for name in names if name in terms},
    )


@dataclass(frozen=True, kw_only=True)
class FlowTerms(Arguments):
    """The terms of a new flow."""

    terms: FlowInput


@dataclass(frozen=True, kw_only=True)
class ChangedFlowTerms(FlowTerms):
    """The new terms of a flow, and the version that was edited."""

    seen_version: int | None


@dataclass(frozen=True, kw_only=True)
class Activation(Arguments):
    """The activation of a flow."""

    is_active: bool = True


def _check_new(_target: None, arguments: FlowTerms) -> None:
    check_terms(arguments.terms)
    check_with_targets(arguments.terms.targets, allow_delegation=arguments.terms.allow_delegation)


def _check_changed(flow: AccessFlow, arguments: FlowTerms) -> None:
    check_terms(arguments.terms, flow=flow)
    check_added_targets(flow, arguments.terms)


def check_added_targets(flow: AccessFlow, terms: FlowInput) -> None:
    """Ask the targets about the permissions that a flow did not have before."""
    added = terms.targets - FlowInput.of(flow).targets
    check_with_targets(added, allow_delegation=terms.allow_delegation)


def _state(flow: AccessFlow) -> str:
    return f"{flow.version} {'active' if flow.is_active else 'inactive'}"


CREATE_FLOW = declare(
    ProtectedAction(
        name="flow:create",
        label="Create access flow",
        service="accessflows.flows.services.create_flow",
        arguments=FlowTerms,
        model=AccessFlow,
        page="flows:edit",
        check=_check_new,
    )
)
CHANGE_FLOW = declare(
    ProtectedAction(
        name="flow:change",
        label="Edit access flow",
        service="accessflows.flows.services.change_flow",
        arguments=ChangedFlowTerms,
        model=AccessFlow,
        parameter="flow",
        page="flows:edit",
        check=_check_changed,
        fingerprint=_state,
    )
)
ACTIVATE_FLOW = declare(
    ProtectedAction(
        name="flow:activate",
        label="Activate access flow",
        service="accessflows.flows.services.set_flow_active",
        arguments=Activation,
        model=AccessFlow,
        parameter="flow",
        page="flows:edit",
        fingerprint=_state,
    )
)


def creation_of(terms: FlowInput) -> Change:
    return Change(
        action=CREATE_FLOW,
        target=None,
        title=terms.name,
        arguments=FlowTerms(terms=terms),
        differences=_all_terms(terms),
    )


def change_of(flow: AccessFlow, terms: FlowInput, seen_version: int | None) -> Change:
    differences = difference(terms_of(flow), terms_of_draft(terms))
    return Change(
        action=CHANGE_FLOW,
        target=flow,
        title=flow.name,
        arguments=ChangedFlowTerms(terms=terms, seen_version=seen_version),
        differences=tuple(asdict(one) for one in differences),
    )


def activation_of(flow: AccessFlow) -> Change:
    return Change(
        action=ACTIVATE_FLOW,
        target=flow,
        title=flow.name,
        arguments=Activation(),
        differences=(differs("Status", "Inactive", "Active"),),
    )


def _all_terms(terms: FlowInput) -> tuple[Difference, ...]:
    shown = describe_terms(terms_of_draft(terms))
    return tuple(differs(label, "", value) for label, value in shown)
