"""Voiding what was proven before."""

from typing import Any

from django.db import transaction

from mfa.locking import lock_state, raise_epoch
from mfa.models import Authenticator, MfaState


def advance_epoch(*, user: Any) -> MfaState:
    """Void every session, window and piece of evidence of a person, as after a change of password.

    Known browsers stay known: their cookie is a lane, not evidence, and an owner who changes a
    stolen password must not fall into the lane that the thief has used up. A set-up under way ends.
    The caller puts its own event on the record, in the same transaction.
    """
    with transaction.atomic():
        state = lock_state(user.pk)
        Authenticator.objects.of(user.pk).awaiting_confirmation().delete()
        raise_epoch(state)
        return state
