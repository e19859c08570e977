"""Recovery codes: ten single-use codes for a lost authenticator, stored as hashes."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.dateformat import format as date_format

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.exceptions import MalformedCode, RecoveryCodesDisabled
from mfa.methods.selectors import is_enrolled
from mfa.models import Method, Outcome, RecoveryCode
from mfa.verification.attempts import (
    Attempt,
    VerificationResult,
    begin_attempt,
    fail,
    refuse_locked_out,
    refuse_without_device,
    succeed,
)
from mfa.verification.evidence import require_evidence
from mfa.verification.services import SEPARATORS, is_six_digits, verify_code
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

CODE_COUNT = 10
CODE_LENGTH = 20  # 100 bits
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648, section 6: no 0, 1, 8 to mistake
PATTERN = re.compile(rf"[{ALPHABET}]{{{CODE_LENGTH}}}")
MALFORMED = "Enter one of your recovery codes: four groups of five characters."


@dataclass(frozen=True, slots=True)
class CodeSheet:
    """New recovery codes as they are shown once, copied, downloaded and printed."""

    codes: list[str]
    account: str
    made_at: datetime

    @property
    def heading(self) -> str:
        made_at = date_format(timezone.localtime(self.made_at), "j F Y, H:i")
        return f"{settings.PORTAL_NAME} · {self.account} · {made_at}"

    @property
    def download(self) -> str:
        """Return the text file as a link: the server keeps nothing to serve it from."""
        text = "\r\n".join([f"Recovery codes: {self.heading}", "", *self.codes, ""])
        return f"data:text/plain;charset=utf-8,{quote(text)}"


def verify_recovery_code(
    *, user: "User", code: str, scope: ThrottleScope, client_info: ClientInfo
) -> VerificationResult:
    """Verify a recovery code and spend it, as `mfa.verification.services.verify_code` does.

    A success is the same evidence. Raises `RecoveryCodesDisabled` and `MalformedCode`, both before
    anything is counted.
    """
    if not settings.MFA_RECOVERY_CODES:
        raise RecoveryCodesDisabled
    code_hash = hash_recovery_code(user.pk, code)
    attempt = begin_attempt(user, scope, client_info, method=Method.RECOVERY)
    if refusal := refuse_locked_out(attempt):
        return refusal
    if not is_enrolled(user.pk):
        return refuse_without_device(attempt)
    outcome = _spend(attempt, code_hash)
    if outcome != Outcome.OK:
        return fail(attempt, outcome)
    return succeed(attempt)


def verify_any_code(
    *, user: "User", code: str, scope: ThrottleScope, client_info: ClientInfo
) -> VerificationResult:
    """Verify a code of the user's authenticator or, if it is not six digits, a recovery code."""
    verify = verify_code if is_six_digits(code) else verify_recovery_code
    return verify(user=user, code=code, scope=scope, client_info=client_info)


def make_recovery_codes(
    *, user: "User", window: Window | None, client_info: ClientInfo
) -> list[str]:
    """Return ten new codes, shown to their owner once, and void the old ones."""
    if not settings.MFA_RECOVERY_CODES:
        raise RecoveryCodesDisabled
    with transaction.atomic():
        require_evidence(user=user, window=window)
        codes = replace_recovery_codes(user_id=user.pk)
        event = record(
            event=EventName.MFA_MAKE_RECOVERY_CODES,
            actor=user,
            target=user,
            client_info=client_info,
        )
        emails.recovery_codes_made(event=event, user=user, client_info=client_info)
        return codes


def replace_recovery_codes(*, user_id: int) -> list[str]:
    """Write ten new codes under the caller's lock and return them."""
    codes = [new_recovery_code() for _ in range(CODE_COUNT)]
    RecoveryCode.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user_id=user_id, code_hash=hash_recovery_code(user_id, code)) for code in codes
    )
    return codes


def count_recovery_codes(user_id: int) -> int:
    """Return how many codes are unused."""
    return RecoveryCode.objects.filter(user_id=user_id, used_at=None).count()


def new_recovery_code() -> str:
    """Return a new code as people read it: ``abcde-fghij-klmno-pqrst``."""
    letters = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return "-".join(letters[start : start + 5] for start in range(0, CODE_LENGTH, 5))


def parse_recovery_code(text: str) -> str:
    """Return the 20 letters and digits of a recovery code, or raise `MalformedCode`."""
    code = SEPARATORS.sub("", text).lower()
    if not PATTERN.fullmatch(code):
        raise MalformedCode(MALFORMED)
    return code


def hash_recovery_code(user_id: int, code: str) -> str:
    """Return what is stored of a recovery code.

    A plain hash is enough for 100 random bits; the user's id in it keeps one search from trying
    everybody's codes at once.
    """
    return hashlib.sha256(f"{user_id}:{parse_recovery_code(code)}".encode()).hexdigest()


def _spend(attempt: Attempt, code_hash: str) -> Outcome:
    codes = RecoveryCode.objects.filter(user_id=attempt.state.user_id, code_hash=code_hash)
    if codes.filter(used_at=None).update(used_at=attempt.now) == 1:
        return Outcome.OK
    return Outcome.REPLAY if codes.exists() else Outcome.BAD
