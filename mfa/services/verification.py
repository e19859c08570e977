"""Checking a six-digit code."""

from typing import Any

from audit.origin import Origin
from mfa.codes import normalise_code
from mfa.lanes import Lane
from mfa.tries import Release, VerificationResult, check_code, run_try


def verify_code(
    *, user: Any, code: str, lane: Lane, origin: Origin, release: Release | None = None
) -> VerificationResult:
    """Check a code of the person's confirmed authenticator and spend it.

    Raises `MalformedCode`, before anything is counted, for what is not six ASCII digits.
    """
    digits = normalise_code(code)
    return run_try(
        user=user,
        lane=lane,
        origin=origin,
        check=lambda attempt: check_code(attempt.device, digits),
        release=release,
    )
