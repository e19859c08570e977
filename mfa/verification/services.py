"""Verifying a six-digit code: parse, lock, limit, check, record."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from apono_portal.core.web.client import ClientInfo
from mfa.exceptions import MalformedCode
from mfa.models import Authenticator, Outcome
from mfa.verification.attempts import (
    VerificationResult,
    begin_attempt,
    fail,
    refuse_locked_out,
    refuse_repeated,
    refuse_without_device,
    succeed,
)
from mfa.verification.throttle_scope import ThrottleScope

if TYPE_CHECKING:
    from apono_portal.users.models import User

# Spaces, hyphens and invisible marks that apps and clipboards put between or around the digits.
SEPARATORS = re.compile(r"[ \u00a0\u2000-\u2015\u202f\u2060\ufeff-]")
SIX_DIGITS = re.compile(r"[0-9]{6}")


def verify_code(
    *, user: "User", code: str, scope: ThrottleScope, client_info: ClientInfo
) -> VerificationResult:
    """Verify a code of one of the user's authenticators and spend it, in the caller's transaction.

    The caller releases what a success permits, then calls `record_success`. Raises `MalformedCode`,
    before anything is counted, for what is not six ASCII digits.
    """
    code = parse_code(code)
    attempt = begin_attempt(user, scope, client_info)
    if refusal := refuse_locked_out(attempt):
        return refusal
    if not attempt.devices:
        return refuse_without_device(attempt)
    outcome, device = _check_code_of_any(attempt.devices, code)
    if outcome == Outcome.OK:
        return succeed(attempt.made_with(device))
    repeated = outcome == Outcome.REPLAY and refuse_repeated(attempt, scope.last_success)
    return repeated or fail(attempt, outcome)


def parse_code(text: str) -> str:
    """Return exactly six ASCII digits, or raise `MalformedCode`. Spaces and hyphens are dropped."""
    if not is_six_digits(text):
        raise MalformedCode
    return SEPARATORS.sub("", text)


def is_six_digits(text: str) -> bool:
    return SIX_DIGITS.fullmatch(SEPARATORS.sub("", text)) is not None


def _check_code_of_any(
    devices: Sequence[Authenticator], code: str
) -> tuple[Outcome, Authenticator]:
    """Compare a code with each authenticator until one accepts it. A spent code is a replay."""
    outcomes: list[tuple[Outcome, Authenticator]] = []
    for device in devices:
        outcome = check_code(device, code)
        if outcome == Outcome.OK:
            return outcome, device
        outcomes.append((outcome, device))
    return next((pair for pair in outcomes if pair[0] == Outcome.REPLAY), outcomes[0])


def check_code(device: Authenticator, code: str) -> Outcome:
    """Compare a code with those of this moment and spend a correct one (django-otp)."""
    if device.verify_token(code):
        return Outcome.OK
    return Outcome.REPLAY if device.was_spent(code) else Outcome.BAD
