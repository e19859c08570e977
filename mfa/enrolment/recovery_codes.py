"""Recovery codes: ten, kept as hashes, each good once."""

from typing import Any

from django.conf import settings
from django.db import transaction

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record
from mfa import emails
from mfa.exceptions import RecoveryCodesOff
from mfa.models import Outcome, RecoveryCode, Verification
from mfa.verification.attempts import Attempt, Release, VerificationResult, attempt_verification
from mfa.verification.codes import (
    RECOVERY_CODES,
    new_recovery_code,
    normalise_recovery_code,
    recovery_code_hash,
)
from mfa.verification.evidence import require_evidence
from mfa.verification.throttle_scope import ThrottleScope
from mfa.verification.window import Window


def verify_recovery_code(
    *,
    user: Any,
    code: str,
    scope: ThrottleScope,
    client_info: ClientInfo,
    release: Release | None = None,
) -> VerificationResult:
    """Check a recovery code and spend it. A success is evidence like that of an authenticator.

    Raises `RecoveryCodesOff` where the setting switches them off and `MalformedCode` for what
    cannot be one, both before anything is counted.
    """
    if not settings.MFA_RECOVERY_CODES:
        raise RecoveryCodesOff
    code_hash = recovery_code_hash(user.pk, normalise_recovery_code(code))

    def tell(event: Event) -> None:
        left = recovery_codes_left(user_id=user.pk)
        emails.recovery_code_used(event=event, user=user, client_info=client_info, left=left)

    return attempt_verification(
        user=user,
        scope=scope.for_recovery,
        client_info=client_info,
        check=lambda attempt: _spend(attempt, code_hash),
        device_name=Verification.RECOVERY_CODE,
        on_success=tell,
        release=release,
    )


def make_recovery_codes(*, user: Any, window: Window | None, client_info: ClientInfo) -> list[str]:
    """Return ten new codes, shown to their owner once, and void the old ones."""
    if not settings.MFA_RECOVERY_CODES:
        raise RecoveryCodesOff
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


def _spend(attempt: Attempt, code_hash: str) -> Outcome:
    codes = RecoveryCode.objects.filter(user_id=attempt.state.user_id, code_hash=code_hash)
    if codes.filter(used_at=None).update(used_at=attempt.now) == 1:
        return Outcome.OK
    return Outcome.REPLAY if codes.exists() else Outcome.BAD


def replace_recovery_codes(*, user_id: int) -> list[str]:
    """Write ten new codes under the caller's lock and return them."""
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.filter(user_id=user_id).delete()
    RecoveryCode.objects.bulk_create(
        RecoveryCode(user_id=user_id, code_hash=recovery_code_hash(user_id, code)) for code in codes
    )
    return codes


def recovery_codes_left(*, user_id: int) -> int:
    return RecoveryCode.objects.filter(user_id=user_id, used_at=None).count()
