"""Proposing, confirming, rejecting and withdrawing changes that weaken protection."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.utils import timezone

from accessflows.dual_control.actions import STALE, Change, Confirmation, ProtectedAction
from accessflows.exceptions import Refused
from accessflows.models import ProposedChange
from accessflows.permissions import require_admin
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.events import EventName
from audit.services import Metadata, record
from mfa.exceptions import NotAllowed
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_states
from mfa.verification.policies import require_account_admin
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

State = ProposedChange.State
OWN_CHANGE = "Another admin must confirm your own change."
NOT_YOURS = "Only the admin who proposed a change can withdraw it."
DECIDED = "This change is no longer pending. Nothing was changed."
ALTERED = "This change was altered outside the portal. Reject it, and propose it again."
EXPIRED = "This change has expired. Propose it again."
FORMER_ADMIN = "The user who proposed this is no longer an admin. Reject it."


def propose_change(
    *, actor: "User", window: Window | None, change: Change, client_info: ClientInfo
) -> ProposedChange:
    """Keep a change that a service refused to make alone, until a second admin decides.

    It replaces what the same admin proposed for the same target before.
    """
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        now = timezone.now()
        if change.target_id:
            for earlier in _pending().filter(
                action=change.action.name, target_id=change.target_id, proposer=actor
            ):
                _end(earlier, State.WITHDRAWN, EventName.CHANGE_WITHDRAW, actor, client_info)
        proposed = ProposedChange(
            action=change.action.name,
            action_label=change.action.label,
            target_type=change.action.model._meta.label_lower,
            target_id=change.target_id,
            title=change.title[:160],
            fingerprint=change.fingerprint,
            proposer_id=actor.pk,
            proposer_label=str(actor),
            proposed_at=now,
            expires_at=now + ProposedChange.LIFETIME,
        )
        proposed.encrypt(
            arguments=change.action.dump(change.arguments),
            weakenings=change.weakenings,
            differences=change.differences,
        )
        proposed.sign().save(force_insert=True)
        _record(EventName.CHANGE_PROPOSE, proposed, actor, client_info, **_described(proposed))
    return proposed


def confirm_change(
    *, actor: "User", window: Window | None, proposed: ProposedChange, client_info: ClientInfo
) -> Any:
    """Apply a change as its second admin, by the service that refused to apply it alone.

    Returns what was changed. Raises `Refused` if it no longer applies or the actor proposed it, and
    `WindowClosed` without an open window of an enrolled admin.
    """
    action = _action_of(proposed)
    try:
        if action.check and proposed.is_readable:
            action.check(_target_of(action, proposed), action.load(proposed.content["arguments"]))
        with transaction.atomic():
            return _confirm(actor, window, proposed, client_info, action)
    except action.refusals as refusal:
        sentence = str(getattr(refusal, "sentence", refusal))
        raise Refused(sentence) from refusal


def _confirm(
    actor: "User",
    window: Window | None,
    proposed: ProposedChange,
    client_info: ClientInfo,
    action: ProtectedAction,
) -> Any:
    lock_states(*_users_of(proposed, actor))
    require_admin(actor=actor, window=window)
    verification = require_evidence(user=actor, window=window)
    row = _locked(proposed)
    _check_confirmable(row, actor)
    target = _target_of(action, row)
    if target is not None and action.fingerprint(target) != row.fingerprint:
        raise Refused(STALE)
    arguments = action.load(row.content["arguments"])
    confirmation = Confirmation(
        change_id=row.pk,
        action=row.action,
        target_id=row.target_id,
        fingerprint=row.fingerprint,
        arguments=arguments,
        proposed_by=row.proposer_label,
        confirmed_by=str(actor),
    )
    described = _described(row) | {"verification": verification.pk}
    _end(row, State.CONFIRMED, EventName.CHANGE_CONFIRM, actor, client_info, **described)
    return action.apply(
        target=target,
        arguments=arguments,
        actor=actor,
        window=window,
        client_info=client_info,
        confirmation=confirmation,
    )


def reject_change(
    *, actor: "User", window: Window | None, proposed: ProposedChange, client_info: ClientInfo
) -> None:
    """Refuse a change that another admin proposed."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        row = _locked(proposed)
        if row.proposer_id == actor.pk:
            raise Refused("This is your own change. Withdraw it instead.")
        _end(row, State.REJECTED, EventName.CHANGE_REJECT, actor, client_info)


def withdraw_change(
    *, actor: "User", window: Window | None, proposed: ProposedChange, client_info: ClientInfo
) -> None:
    """Take back a change of one's own."""
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        row = _locked(proposed)
        if row.proposer_id != actor.pk:
            raise Refused(NOT_YOURS)
        _end(row, State.WITHDRAWN, EventName.CHANGE_WITHDRAW, actor, client_info)


def expire_changes(*, now: datetime) -> int:
    """End the changes that nobody confirmed in time: a periodic task of a worker.

    Returns 0: no grant waits for it.
    """
    for pk in list(_pending().filter(expires_at__lte=now).values_list("pk", flat=True)):
        with transaction.atomic():
            row = _pending().select_for_update().filter(pk=pk).first()
            if row is not None:
                _end(row, State.EXPIRED, EventName.CHANGE_EXPIRE, None, SYSTEM)
    return 0


def _pending() -> models.QuerySet[ProposedChange]:
    return ProposedChange.objects.filter(state=State.PENDING)


def _locked(proposed: ProposedChange) -> ProposedChange:
    row = _pending().select_for_update().filter(pk=proposed.pk).first()
    if row is None:
        raise Refused(DECIDED)
    return row


def _check_confirmable(row: ProposedChange, actor: "User") -> None:
    if row.proposer_id == actor.pk:
        raise Refused(OWN_CHANGE)
    if not (row.is_authentic and row.is_readable):
        raise Refused(ALTERED)
    if timezone.now() >= row.expires_at:
        raise Refused(EXPIRED)
    proposer = get_user_model()._default_manager.filter(pk=row.proposer_id).first()
    try:
        if proposer is None:
            raise NotAllowed
        require_account_admin(proposer)
    except NotAllowed:
        raise Refused(FORMER_ADMIN) from None


def _users_of(proposed: ProposedChange, actor: "User") -> set[int]:
    """Return the users whose MFA states the change needs, to be locked in one order."""
    users = {actor.pk, proposed.proposer_id or actor.pk}
    if proposed.target_type == get_user_model()._meta.label_lower and proposed.target_id:
        users.add(int(proposed.target_id))
    return users


def _action_of(proposed: ProposedChange) -> ProtectedAction:
    action = proposed.protected_action
    if action is None:
        raise Refused("This release does not know the change. Propose it again.")
    return action


def _target_of(action: ProtectedAction, proposed: ProposedChange) -> Any:
    if not proposed.target_id:
        return None
    target = action.model._default_manager.filter(pk=proposed.target_id).first()
    if target is None:
        raise Refused("It was deleted since this was proposed. Nothing was saved.")
    return target


def _end(
    row: ProposedChange,
    state: str,
    event: EventName,
    actor: "User | None",
    client_info: ClientInfo,
    **metadata: Any,
) -> None:
    """Close a locked row and forget its arguments, which may hold a password."""
    row.state, row.decided_at = state, timezone.now()
    row.decided_by_label, row.encrypted_content = str(actor) if actor else "", ""
    row.save(update_fields=["state", "decided_at", "decided_by_label", "encrypted_content"])
    _record(event, row, actor, client_info, **metadata)


def _described(row: ProposedChange) -> Metadata:
    content = row.content
    return {"weakens": content["weakenings"], "changes": content["differences"]}


def _record(
    event: EventName,
    row: ProposedChange,
    actor: "User | None",
    client_info: ClientInfo,
    **metadata: Any,
) -> None:
    described = {
        "action": row.action_label,
        "proposed_change": row.pk,
        "proposed_by": row.proposer_label,
        "object": {"type": row.target_type, "id": row.target_id},
    }
    record(
        event=event,
        actor=actor,
        target=row,
        client_info=client_info,
        metadata=described | json.loads(json.dumps(metadata)),
    )
