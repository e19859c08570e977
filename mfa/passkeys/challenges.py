"""Challenges: bound to session, user and purpose, good for five minutes, used once."""

import secrets
from datetime import timedelta

from django.utils import timezone
from webauthn.helpers import bytes_to_base64url

from mfa.exceptions import TooManyChallenges
from mfa.models import PasskeyChallenge
from mfa.verification.locking import lock_state

MAX_CHALLENGES = 30
PERIOD = timedelta(minutes=15)
LENGTH_BYTES = 32
Purpose = PasskeyChallenge.Purpose


def issue_challenge(
    *, user_id: int, session_ref: str, purpose: Purpose, user_handle: str = ""
) -> PasskeyChallenge:
    """Write a new challenge in the caller's transaction, and drop the user's old ones.

    Raises `TooManyChallenges` after 30 of one session in 15 minutes.
    """
    lock_state(user_id)
    now = timezone.now()
    challenges = PasskeyChallenge.objects.filter(user_id=user_id)
    challenges.filter(created_at__lte=now - PERIOD).delete()
    if challenges.filter(session_ref=session_ref).count() >= MAX_CHALLENGES:
        raise TooManyChallenges
    return PasskeyChallenge.objects.create(
        user_id=user_id,
        session_ref=session_ref,
        purpose=purpose,
        challenge=bytes_to_base64url(secrets.token_bytes(LENGTH_BYTES)),
        user_handle=user_handle,
        created_at=now,
    )


def use_challenge(
    *, user_id: int, session_ref: str, purpose: Purpose, challenge: bytes
) -> PasskeyChallenge | None:
    """Use up the challenge of this session, user and purpose; None if there is no such one now.

    The guarded update lets one of two requests have it, in the transaction of what it permits.
    """
    now = timezone.now()
    open_challenges = PasskeyChallenge.objects.filter(
        user_id=user_id,
        session_ref=session_ref,
        purpose=purpose,
        challenge=bytes_to_base64url(challenge),
        created_at__gt=now - PasskeyChallenge.LIFETIME,
        created_at__lte=now,
        used_at=None,
    )
    row = open_challenges.first()
    if row is None or open_challenges.filter(pk=row.pk).update(used_at=now) != 1:
        return None
    return row
