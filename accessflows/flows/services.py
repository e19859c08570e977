"""Every write of an access flow: check, lock, write, stamp a version, record.

Requests that wait keep the fingerprint they were made under; whether they may go on is decided where
they live, by comparing it with the flow's.
"""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows.diff import Difference, difference
from accessflows.flows.fingerprint import terms_of
from accessflows.flows.history import stamp_version
from accessflows.flows.terms import PEOPLE_TERMS, PLAIN_TERMS, FlowInput
from accessflows.flows.validation import check_terms, check_with_targets
from accessflows.models import AccessFlow, EscalationTier, FlowTarget
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.window import Window

NAME_TAKEN = "Another access flow has this name. Choose a different one."


@dataclass(frozen=True)
class FlowChange:
    """A saved flow and what is different now."""

    flow: AccessFlow
    differences: list[Difference]


def create_flow(
    *, actor: Any, window: Window | None, terms: FlowInput, client_info: ClientInfo
) -> AccessFlow:
    """Make an active flow. Raises InvalidInput by field; asks the targets before anything is written."""
    check_terms(terms)
    check_with_targets(terms.targets)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            flow = AccessFlow.objects.create(**_plain(terms), version=0)
            _write_related(flow, terms)
            stamp_version(flow=flow, changed_by=actor)
            record(
                event=EventName.FLOW_CREATE,
                actor=actor,
                target=flow,
                client_info=client_info,
                metadata={"version": flow.version, "terms": terms_of(flow)},
            )
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None
    return flow


def change_flow(
    *,
    actor: Any,
    window: Window | None,
    flow: AccessFlow,
    terms: FlowInput,
    client_info: ClientInfo,
    seen_version: int | None = None,
) -> FlowChange:
    """Save a flow's terms. ``seen_version`` is the version they were written over, if known."""
    check_terms(terms, flow=flow)
    check_with_targets(terms.targets - FlowInput.of(flow).targets)
    try:
        with transaction.atomic():
            require_admin(actor=actor, window=window)
            flow = _locked(flow)
            if seen_version not in (None, flow.version):
                raise Refused(
                    "Somebody else saved this flow while you were editing. Nothing of yours was saved; "
                    "open the flow again to see what it says now."
                )
            return _write_change(actor=actor, flow=flow, terms=terms, client_info=client_info)
    except IntegrityError:
        raise InvalidInput({"name": NAME_TAKEN}) from None


def set_flow_active(
    *, actor: Any, window: Window | None, flow: AccessFlow, is_active: bool, client_info: ClientInfo
) -> bool:
    """Switch a flow on or off, and return whether that changed anything.

    What was opened through a flow that is off loses its ground; the worker ends it.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        changed = AccessFlow.objects.filter(pk=flow.pk, is_active=not is_active).update(
            is_active=is_active, changed_at=timezone.now()
        )
        if changed:
            event = EventName.FLOW_ACTIVATE if is_active else EventName.FLOW_DEACTIVATE
            record(event=event, actor=actor, target=flow, client_info=client_info)
    return bool(changed)


def _locked(flow: AccessFlow) -> AccessFlow:
    found = AccessFlow.objects.select_for_update().filter(pk=flow.pk).first()
    if found is None:
        raise Refused("This access flow was deleted meanwhile. Nothing was saved.")
    return found


def _write_change(
    *, actor: Any, flow: AccessFlow, terms: FlowInput, client_info: ClientInfo
) -> FlowChange:
    before = terms_of(flow)
    for name, value in _plain(terms).items():
        setattr(flow, name, value)
    flow.save(update_fields=list(PLAIN_TERMS))
    _write_related(flow, terms)
    differences = difference(before, terms_of(flow))
    if differences:
        stamp_version(flow=flow, changed_by=actor)
        record(
            event=EventName.FLOW_CHANGE,
            actor=actor,
            target=flow,
            client_info=client_info,
            metadata={
                "version": flow.version,
                "changes": [each.as_dict() for each in differences],
            },
        )
    return FlowChange(flow, differences)


def _plain(terms: FlowInput) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in PLAIN_TERMS}


def _write_related(flow: AccessFlow, terms: FlowInput) -> None:
    for name in PEOPLE_TERMS:
        getattr(flow, name).set(getattr(terms, name))
    if terms.escalation != tuple(flow.escalation_tiers.values_list("wait", "group_id")):
        flow.escalation_tiers.all().delete()
        EscalationTier.objects.bulk_create(
            EscalationTier(flow=flow, position=position, wait=wait, group_id=group)
            for position, (wait, group) in enumerate(terms.escalation, start=1)
        )
    kept = set()
    for target in flow.targets.all():
        pair = (target.resource_id, target.permission_id)
        if pair in terms.targets:
            kept.add(pair)
        else:
            target.delete()
    FlowTarget.objects.bulk_create(
        FlowTarget(flow=flow, resource_id=resource, permission_id=permission)
        for resource, permission in sorted(terms.targets - kept)
    )
