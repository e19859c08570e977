"""Applying a planned file of access flows: all of it, or nothing."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.exceptions import Refused
from accessflows.flows import protection
from accessflows.flows.files.plan import (
    FlowChange,
    FlowPlan,
    FlowSource,
    is_same_digest,
    make_plan,
    read_plan,
)
from accessflows.flows.services import (
    Author,
    write_changed_flow,
    write_flow_state,
    write_new_flow,
)
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_with_targets
from accessflows.models import AccessFlow
from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from mfa.verification.locking import lock_state
from mfa.verification.policies import require_account_admin
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User


class StalePlan(Refused):
    """Something changed since the plan was made."""


NEEDS_SECOND_ADMIN = (
    "Dual control is on, and this plan weakens protection. Nothing was applied. An operator applies it on "
    "the server: manage.py flows apply."
)
STALE = "Something changed since this plan was made. Nothing was applied. Make a new plan."


def apply_plan(
    *, actor: "User", window: Window | None, plan: str, client_info: ClientInfo
) -> FlowPlan:
    """Apply a plan as an admin with an open window, and return what was applied.

    Raises `Refused` if the plan is not this portal's, if anything changed since it was made, or if it
    weakens protection while dual control is on: a plan has no second admin.
    """
    source, digest = read_plan(plan)
    author = Author(actor=actor, client_info=client_info, source=_recorded(source, digest))

    def authorize(plan: FlowPlan) -> None:
        require_admin(actor=actor, window=window)
        if settings.DUAL_CONTROL and any(_weakenings_of_plan(plan)):
            raise Refused(NEEDS_SECOND_ADMIN)

    return _apply(source, digest, author, authorize)


def apply_plan_from_console(*, admin: "User | None", operator: str, plan: str) -> FlowPlan:
    """Apply a plan on the server's console, for ``admin``, who must be an active admin, or for nobody.

    The events say that ``operator``, an account of the server, did it there.
    """
    source, digest = read_plan(plan)
    recorded = {**_recorded(source, digest), "console": True, "operator": operator}
    author = Author(actor=admin, client_info=SYSTEM, source=recorded)

    def authorize(plan: FlowPlan) -> None:
        if admin is not None:
            lock_state(admin.pk)
            require_account_admin(admin)

    return _apply(source, digest, author, authorize)


def _recorded(source: FlowSource, digest: str) -> dict[str, object]:
    """Return what the events say about where a change comes from."""
    return {"file": {"name": source.file, "commit": source.commit, "plan": digest}}


def _apply(
    source: FlowSource, digest: str, author: Author, authorize: Callable[[FlowPlan], None]
) -> FlowPlan:
    plan = _current_plan(source, digest)
    with transaction.atomic():
        authorize(plan)  # and again below, under the locks that the writes need
    for change in plan.changes:
        if change.terms is not None:
            check_with_targets(
                change.terms.targets - _targets_of(change.flow),
                allow_delegation=change.terms.allow_delegation,
            )
    try:
        with transaction.atomic():
            locked = AccessFlow.objects.select_for_update().order_by("pk").in_bulk()
            plan = _current_plan(source, digest)
            authorize(plan)
            for change in plan.changes:
                flow = locked[change.flow.pk] if change.flow else None
                _write(change, flow, source, author)
    except IntegrityError:
        raise StalePlan(STALE) from None
    return plan


def _weakenings_of_plan(plan: FlowPlan) -> Iterator[str]:
    """Yield how a plan protects targets less, as dual control counts it."""
    for change in plan.changes:
        flow, terms = change.flow, change.terms
        if flow is not None and terms is not None:
            yield from protection.weakenings_of_change(flow, terms)
        if terms is None and flow is not None:
            terms = FlowInput.of(flow)
        if terms is not None and (flow is None or change.is_active):
            yield from protection.weakenings_of_targets(terms, terms.targets, but=flow)


def _current_plan(source: FlowSource, digest: str) -> FlowPlan:
    plan = make_plan(source)
    if not is_same_digest(plan.digest, digest):
        raise StalePlan(STALE)
    return plan


def _targets_of(flow: AccessFlow | None) -> frozenset[tuple[int, int]]:
    return FlowInput.of(flow).targets if flow else frozenset()


def _write(change: FlowChange, flow: AccessFlow | None, source: FlowSource, author: Author) -> None:
    if flow is None:
        if change.terms is None:
            raise StalePlan(STALE)
        flow = write_new_flow(author=author, terms=change.terms)
    else:
        if change.terms is not None:
            write_changed_flow(author=author, flow=flow, terms=change.terms)
        if change.is_managed is not None:
            event = EventName.FLOW_MANAGE if change.is_managed else EventName.FLOW_RELEASE
            author.record(event, flow)
    if change.is_active is not None:
        write_flow_state(author=author, flow=flow, is_active=change.is_active)
    is_released = change.is_managed is False
    AccessFlow.objects.filter(pk=flow.pk).update(
        managed_by_file="" if is_released else source.file,
        managed_commit="" if is_released else source.commit,
        changed_at=timezone.now(),
    )
