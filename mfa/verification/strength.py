"""What a protected action demands of a verification beyond being fresh, and whether one meets it."""

from dataclasses import dataclass

from django.utils import timezone

from mfa.exceptions import (
    DeviceBoundRequired,
    OwnVerificationRequired,
    PasskeyRequired,
    WindowClosed,
)
from mfa.models import Method, Passkey, Strength, Verification


@dataclass(frozen=True, slots=True)
class Requirement:
    """What an access flow demands.

    ``strength`` is the weakest method accepted. With ``purpose``, the verification counts for that one
    action only, and for nothing else that demands its own.
    """

    strength: Strength = Strength.ANY
    purpose: str = ""

    @property
    def needs_passkey(self) -> bool:
        return self.strength != Strength.ANY

    @property
    def needs_device_bound(self) -> bool:
        return self.strength == Strength.DEVICE_BOUND

    def refusal(self) -> WindowClosed:
        """Return the refusal of whoever has no fresh verification that is strong enough."""
        if self.needs_device_bound:
            return DeviceBoundRequired()
        return PasskeyRequired() if self.needs_passkey else WindowClosed()


ANY_METHOD = Requirement()


def meets(requirement: Requirement, verification: Verification) -> bool:
    """Return whether a valid success counts for what it is to permit, or did permit."""
    try:
        _check(requirement, verification, allow_unused=False)
    except WindowClosed:
        return False
    return True


def claim(requirement: Requirement, verification: Verification) -> None:
    """Use a success for what it is to permit, in the caller's transaction and under the user's lock.

    Raises `PasskeyRequired` and `OwnVerificationRequired`.
    """
    _check(requirement, verification, allow_unused=True)
    if requirement.purpose and not verification.used_for:
        verification.used_for = requirement.purpose
        verification.sign().save(update_fields=["used_for", "mac"])


def shortfall(requirement: Requirement, verification: Verification) -> str:
    """Return why `claim` would refuse the verification, or ""."""
    try:
        _check(requirement, verification, allow_unused=True)
    except WindowClosed as refusal:
        return str(refusal)
    return ""


def is_usable(requirement: Requirement, verification: Verification) -> bool:
    """Return whether `claim` would accept the verification."""
    return not shortfall(requirement, verification)


def is_strong_enough(requirement: Requirement, verification: Verification) -> bool:
    """Return whether it was made with a passkey of the user's that counts by now, where one is demanded."""
    if not requirement.needs_passkey:
        return True
    passkey = _passkey_of(verification)
    if passkey is None or (requirement.needs_device_bound and not passkey.is_device_bound):
        return False
    return _counted(passkey, verification)


def _passkey_of(verification: Verification) -> Passkey | None:
    if verification.method != Method.PASSKEY:
        return None
    passkey = (
        Passkey.objects.of(verification.user_id).filter(pk=verification.device_id or 0).first()
    )
    return passkey if passkey is not None and passkey.is_authentic else None


def _counted(passkey: Passkey, verification: Verification) -> bool:
    if passkey.vouched_at is not None:
        return passkey.vouched_at <= timezone.now()
    return passkey.counts_from <= verification.at


def _check(requirement: Requirement, verification: Verification, *, allow_unused: bool) -> None:
    if not is_strong_enough(requirement, verification):
        raise _refusal(requirement, verification)
    if not requirement.purpose or verification.used_for == requirement.purpose:
        return
    if verification.used_for or not allow_unused:
        raise OwnVerificationRequired


def _refusal(requirement: Requirement, verification: Verification) -> WindowClosed:
    """Return why a verification is not strong enough: the method, or a passkey that is too new."""
    passkey = _passkey_of(verification)
    is_kind_wrong = requirement.needs_device_bound and passkey and not passkey.is_device_bound
    if passkey is None or is_kind_wrong:
        return requirement.refusal()
    return type(requirement.refusal())(
        "This passkey is too new for this flow. Wait until it is accepted, or ask an account admin to "
        "vouch for it."
    )
