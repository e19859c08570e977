"""The lock of everything that decides on a person's MFA, and the epoch."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from apono_portal.core.db.prepared import prepared
from mfa.models import Authenticator, MfaState, TrustedBrowser


@prepared(int)
def _locked(user_id: int) -> QuerySet[MfaState]:
    return MfaState.objects.select_for_update().filter(pk=user_id)


def lock_state(user_id: int) -> MfaState:
    """Return the person's state, locked until the surrounding transaction ends.

    It is the first lock of any transaction that decides on MFA. The order everywhere: MfaState,
    Authenticator, AccessRequest, Grant.
    """
    state: MfaState | None = _locked.first(user_id)
    if state is None:
        MfaState.objects.bulk_create([MfaState(user_id=user_id)], ignore_conflicts=True)
        [state] = _locked(user_id)
    return state


def lock_states(*user_ids: int) -> dict[int, MfaState]:
    """Lock several people's states, in one order for everybody so that nobody waits in a circle."""
    return {user_id: lock_state(user_id) for user_id in sorted(set(user_ids))}


def raise_epoch(state: MfaState) -> None:
    """Count the locked state's epoch up and take the known browsers along."""
    state.epoch += 1
    state.save(update_fields=["epoch"])
    TrustedBrowser.objects.filter(user_id=state.user_id).update(epoch=state.epoch)


def advance_epoch(*, user: Any) -> MfaState:
    """Void every session, window and piece of evidence of a person, as after a change of password.

    Known browsers stay known: their cookie is a scope, not evidence, and an owner who changes a
    stolen password must not fall into the scope that the thief has used up. A set-up under way ends.
    The caller puts its own event on the record, in the same transaction.
    """
    with transaction.atomic():
        state = lock_state(user.pk)
        Authenticator.objects.of(user.pk).awaiting_confirmation().delete()
        raise_epoch(state)
        return state
