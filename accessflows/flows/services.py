"""Every write of an access flow: check, lock, write, add a version, record.

Pending requests keep the fingerprint they were made under. Whether they may go on is decided where they
live, by comparing it with the flow's.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.dual_control.actions import Confirmation, require_confirmation
from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows import protection
from accessflows.flows.diff import difference
from accessflows.flows.fingerprint import terms_of
from accessflows.flows.history import create_version
from accessflows.flows.selectors import requester_sets_of
from accessflows.flows.terms import APPROVER_FIELDS, PLAIN_FIELDS, FlowInput
from accessflows.flows.validation import NAME_TAKEN, check_terms, check_with_targets
from accessflows.models import (
    AccessFlow,
    EscalationTier,
    FlowTarget,
    RequesterCondition,
    RequesterValue,
)
from accessflows.permissions import require_admin, require_unmanaged
from accessflows.requesters import Sets
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.seen_state import CHANGED_MEANWHILE
from audit.events import EventName
from audit.services import Metadata, record
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


@dataclass(frozen=True, kw_only=True)
class Author:
    """Who writes a flow, for its version and its events; no actor is the portal's console.

    ``source`` is added to the metadata of the events.
    """

    actor: "User | None"
    client_info: ClientInfo
    source: Metadata = field(default_factory=dict)

    def record(self, event: EventName, flow: AccessFlow, **metadata: object) -> None:
        record(
            event=event,
            actor=self.actor,
            target=flow,
            client_info=self.client_info,
            metadata={**metadata, **self.source},
        )


def create_flow(
    *,
    actor: "User",
    window: Window | None,
    terms: FlowInput,
    client_info: ClientInfo,
    confirmation: Confirmation | None = None,
) -> AccessFlow:
    """Create an active flow. Checks the target systems before anything is written.

    Raises InvalidInput with a sentence per field, and ConfirmationRequired for a flow that protects
    targets less than those there are.
    """
    check_terms(terms)
    if confirmation is None:
        check_with_targets(terms.targets, allow_delegation=terms.allow_delegation)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            confirmed = require_confirmation(
                confirmation,
                weakenings=protection.weakenings_of_targets(terms, terms.targets),
                describe=partial(protection.creation_of, terms),
            )
            author = Author(actor=actor, client_info=client_info, source=confirmed)
            return write_new_flow(author=author, terms=terms)
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None


def change_flow(
    *,
    actor: "User",
    window: Window | None,
    flow: AccessFlow,
    terms: FlowInput,
    client_info: ClientInfo,
    seen_version: int | None,
    confirmation: Confirmation | None = None,
) -> AccessFlow:
    """Save a flow's terms. ``seen_version`` is the version that was edited; None is a conflict.

    Raises ConfirmationRequired for terms that protect less.
    """
    check_terms(terms, flow=flow)
    if confirmation is None:
        protection.check_added_targets(flow, terms)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            flow = _locked(flow)
            require_unmanaged(flow)
            if seen_version != flow.version:
                raise Refused(CHANGED_MEANWHILE)
            confirmed = require_confirmation(
                confirmation,
                weakenings=protection.weakenings_of_change(flow, terms),
                describe=partial(protection.change_of, flow, terms, seen_version),
            )
            author = Author(actor=actor, client_info=client_info, source=confirmed)
            write_changed_flow(author=author, flow=flow, terms=terms)
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None
    return flow


def set_flow_active(
    *,
    actor: "User",
    window: Window | None,
    flow: AccessFlow,
    is_active: bool,
    client_info: ClientInfo,
    confirmation: Confirmation | None = None,
) -> bool:
    """Activate or deactivate a flow, and return whether that changed anything.

    Access granted through an inactive flow is no longer eligible; the worker revokes it. A flow that a
    file manages can be deactivated here, and activated only by its file. Raises ConfirmationRequired to
    activate one that protects targets less than the active ones do.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        flow = _locked(flow)
        if is_active:
            require_unmanaged(flow)
        confirmed = _require_confirmed_activation(flow, confirmation) if is_active else {}
        author = Author(actor=actor, client_info=client_info, source=confirmed)
        return write_flow_state(author=author, flow=flow, is_active=is_active)


def write_new_flow(*, author: Author, terms: FlowInput) -> AccessFlow:
    """Create a flow for a caller that has checked who may, and the terms, in its transaction."""
    flow = AccessFlow.objects.create(**_plain(terms), version=0)
    _write_related(flow, terms)
    create_version(flow=flow, changed_by=author.actor)
    author.record(EventName.FLOW_CREATE, flow, version=flow.version, terms=terms_of(flow))
    return flow


def write_changed_flow(*, author: Author, flow: AccessFlow, terms: FlowInput) -> None:
    """Save the terms of a locked flow for a caller that has checked who may, in its transaction."""
    before = terms_of(flow)
    for name, value in _plain(terms).items():
        setattr(flow, name, value)
    flow.save(update_fields=list(PLAIN_FIELDS))
    _write_related(flow, terms)
    if differences := difference(before, terms_of(flow)):
        create_version(flow=flow, changed_by=author.actor)
        changes = [one.as_dict() for one in differences]
        author.record(EventName.FLOW_CHANGE, flow, version=flow.version, changes=changes)


def write_flow_state(*, author: Author, flow: AccessFlow, is_active: bool) -> bool:
    """Activate or deactivate a flow for a caller that has checked who may. Returns whether it changed."""
    changed = AccessFlow.objects.filter(pk=flow.pk, is_active=not is_active).update(
        is_active=is_active, changed_at=timezone.now()
    )
    if changed:
        author.record(EventName.FLOW_ACTIVATE if is_active else EventName.FLOW_DEACTIVATE, flow)
    return bool(changed)


def _require_confirmed_activation(flow: AccessFlow, confirmation: Confirmation | None) -> Metadata:
    if flow.is_active:
        return {}
    terms = FlowInput.of(flow)
    return require_confirmation(
        confirmation,
        weakenings=protection.weakenings_of_targets(terms, terms.targets, but=flow),
        describe=partial(protection.activation_of, flow),
    )


def _locked(flow: AccessFlow) -> AccessFlow:
    locked = AccessFlow.objects.select_for_update().filter(pk=flow.pk).first()
    if locked is None:
        raise Refused("This access flow has been deleted. Nothing was saved.")
    return locked


def _plain(terms: FlowInput) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in PLAIN_FIELDS}


def write_requesters(*, flow: AccessFlow, sets: Sets) -> None:
    """Replace the conditions of a flow, in the caller's transaction."""
    flow.requester_conditions.all().delete()
    values = []
    for set_number, conditions in enumerate(sets, start=1):
        for position, condition in enumerate(conditions, start=1):
            row = RequesterCondition.objects.create(
                flow=flow,
                set_number=set_number,
                position=position,
                attribute=condition.attribute,
                operator=condition.operator,
            )
            column = condition.column if condition.column == "text" else f"{condition.column}_id"
            values += [
                RequesterValue(condition=row, **{column: value}) for value in condition.values
            ]
    RequesterValue.objects.bulk_create(values)


def _write_related(flow: AccessFlow, terms: FlowInput) -> None:
    for name in APPROVER_FIELDS:
        getattr(flow, name).set(getattr(terms, name))
    if terms.requesters != requester_sets_of(flow):
        write_requesters(flow=flow, sets=terms.requesters)
    if terms.escalation != tuple(flow.escalation_tiers.values_list("wait", "group_id")):
        flow.escalation_tiers.all().delete()
        EscalationTier.objects.bulk_create(
            EscalationTier(flow=flow, position=position, wait=wait, group_id=group)
            for position, (wait, group) in enumerate(terms.escalation, start=1)
        )
    unchanged = set()
    for target in flow.targets.all():
        pair = (target.resource_id, target.permission_id)
        if pair in terms.targets:
            unchanged.add(pair)
        else:
            target.delete()
    FlowTarget.objects.bulk_create(
        FlowTarget(flow=flow, resource_id=resource, permission_id=permission)
        for resource, permission in sorted(terms.targets - unchanged)
    )
