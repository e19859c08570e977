"""The lock of every decision about a user's MFA, and the epoch."""

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import BigIntegerField

from apono_portal.core.db.compiled_query import CompiledQuery
from mfa.models import Authenticator, MfaState, TrustedBrowser

if TYPE_CHECKING:
    from apono_portal.users.models import User


_locked_state = CompiledQuery(
    lambda pk: MfaState.objects.select_for_update().filter(pk=pk), BigIntegerField()
)


def lock_state(user_id: int) -> MfaState:
    """Return the user's state, locked until the surrounding transaction ends.

    It is the first lock of any transaction that decides on MFA. The order everywhere: MfaState,
    Authenticator, AccessRequest, Grant.
    """
    state = _locked_state.first(user_id)
    if state is None:
        MfaState.objects.bulk_create([MfaState(user_id=user_id)], ignore_conflicts=True)
        [state] = _locked_state(user_id)
    return state


def lock_states(*user_ids: int) -> dict[int, MfaState]:
    """Lock the states of several users, always in the same order so that no deadlock arises."""
    return {user_id: lock_state(user_id) for user_id in sorted(set(user_ids))}


def raise_epoch(state: MfaState) -> None:
    """Raise the locked state's epoch and take the trusted browsers along."""
    state.epoch += 1
    state.save(update_fields=["epoch"])
    TrustedBrowser.objects.filter(user_id=state.user_id).update(epoch=state.epoch)


def advance_epoch(*, user: "User") -> MfaState:
    """Void every session, window and piece of evidence of a user, as after a password change.

    Trusted browsers stay trusted: a cookie is a scope, not evidence, and an owner who changes a
    stolen password must not fall into the scope that the thief has used up. A pending set-up ends.
    The caller records its own event in the same transaction.
    """
    with transaction.atomic():
        state = lock_state(user.pk)
        Authenticator.objects.of(user.pk).awaiting_confirmation().delete()
        raise_epoch(state)
        return state
