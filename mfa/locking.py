"""The lock of everything that decides on a person's MFA, and the epoch."""

from django.db.models import QuerySet

from audit.prepared import prepared
from mfa.models import KnownBrowser, MfaState


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
    KnownBrowser.objects.filter(user_id=state.user_id).update(epoch=state.epoch)
