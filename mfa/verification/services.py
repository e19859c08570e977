"""Checking a six-digit code."""

from typing import Any

from apono_portal.core.web.client import Origin
from mfa.verification.attempts import Release, VerificationResult, check_code, run_try
from mfa.verification.codes import normalise_code
from mfa.verification.throttle_scope import Lane


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
