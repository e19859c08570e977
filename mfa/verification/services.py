"""Checking a six-digit code."""

from typing import Any

from apono_portal.core.web.client import ClientInfo
from mfa.verification.attempts import Release, VerificationResult, attempt_verification, check_code
from mfa.verification.codes import normalise_code
from mfa.verification.throttle_scope import ThrottleScope


def verify_code(
    *,
    user: Any,
    code: str,
    scope: ThrottleScope,
    client_info: ClientInfo,
    release: Release | None = None,
) -> VerificationResult:
    """Check a code of the person's confirmed authenticator and spend it.

    Raises `MalformedCode`, before anything is counted, for what is not six ASCII digits.
    """
    digits = normalise_code(code)
    return attempt_verification(
        user=user,
        scope=scope,
        client_info=client_info,
        check=lambda attempt: check_code(attempt.device, digits),
        release=release,
    )
