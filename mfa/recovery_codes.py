"""The ten recovery codes of a person, under the caller's lock."""

from mfa.codes import RECOVERY_CODES, new_recovery_code, recovery_code_hash
from mfa.models import RecoveryCode


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
