"""What people type: six-digit codes and recovery codes, brought to the one form that is compared."""

import hashlib
import re
import secrets

from mfa.exceptions import MalformedCode

RECOVERY_CODES = 10
_RECOVERY_ALPHABET = (
    "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648, section 6: no 0, 1, 8 to mistake
)
_RECOVERY_LENGTH = 20  # 100 bits
_SEPARATORS = re.compile(r"[ \u00a0-]")
_SIX_DIGITS = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(rf"[{_RECOVERY_ALPHABET}]{{{_RECOVERY_LENGTH}}}")


def normalise_code(typed: str) -> str:
    """Return exactly six ASCII digits, or raise `MalformedCode`. Spaces and hyphens are dropped."""
    code = _SEPARATORS.sub("", typed)
    if not _SIX_DIGITS.fullmatch(code):
        raise MalformedCode
    return code


def normalise_recovery_code(typed: str) -> str:
    """Return the 20 letters and digits of a recovery code, or raise `MalformedCode`."""
    code = _SEPARATORS.sub("", typed).lower()
    if not _RECOVERY.fullmatch(code):
        raise MalformedCode("Enter one of your recovery codes: four groups of five.")
    return code


def new_recovery_code() -> str:
    """Return a fresh code as people read it: ``abcde-fghij-klmno-pqrst``."""
    letters = "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[start : start + 5] for start in range(0, _RECOVERY_LENGTH, 5))


def recovery_code_hash(user_id: int, code: str) -> str:
    """Return what is kept of a recovery code.

    A plain hash is enough for 100 random bits; the person's number in it keeps one search from
    trying everybody's codes at once.
    """
    return hashlib.sha256(f"{user_id}:{normalise_recovery_code(code)}".encode()).hexdigest()
