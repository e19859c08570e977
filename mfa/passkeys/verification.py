"""Verifying with a passkey: options for the browser, and the check of its answer."""

from typing import TYPE_CHECKING

from django.db import transaction
from webauthn import (
    generate_authentication_options,
    options_to_json,
    verify_authentication_response,
)
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import (
    AuthenticationCredential,
    CollectedClientData,
    CredentialDeviceType,
    UserVerificationRequirement,
)

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from mfa import emails
from mfa.exceptions import NotEnrolled
from mfa.models import Authenticator, Method, Outcome, Passkey, PasskeyChallenge, Verification
from mfa.passkeys.challenges import Purpose, issue_challenge, use_challenge
from mfa.passkeys.descriptors import descriptors
from mfa.passkeys.relying_party import RelyingParty, relying_party
from mfa.passkeys.responses import PARSE_ERRORS, read_assertion
from mfa.verification.attempts import Attempt, VerificationResult, begin_attempt, succeed
from mfa.verification.rate_limits import SHORT
from mfa.verification.throttle_scope import ThrottleScope

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_REFUSALS = 30  # rows in 15 minutes; a signature cannot be guessed, so nothing is locked out


def begin_verification(*, user: "User", session_ref: str) -> str:
    """Return the options of ``navigator.credentials.get()`` as JSON, with a new challenge.

    Raises `NotEnrolled` for a user without passkeys, `TooManyChallenges` and `PasskeysUnavailable`.
    """
    party = relying_party()
    passkeys = list(Passkey.objects.of(user.pk).filter(rp_id=party.rp_id))
    if not passkeys:
        raise NotEnrolled(_way_without_passkey(user.pk))
    with transaction.atomic():
        challenge = issue_challenge(
            user_id=user.pk, session_ref=session_ref, purpose=Purpose.VERIFY
        )
    options = generate_authentication_options(
        rp_id=party.rp_id,
        challenge=base64url_to_bytes(challenge.challenge),
        timeout=int(PasskeyChallenge.LIFETIME.total_seconds() * 1000),
        allow_credentials=descriptors(passkeys),
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def _way_without_passkey(user_id: int) -> str:
    """Return what a user without a passkey for this address can do, "" if MFA is not set up."""
    if Authenticator.objects.of(user_id).confirmed().exists():
        return (
            "You have no passkey for this address. Verify with a code, then add one under "
            "Security & Privacy."
        )
    if Passkey.objects.of(user_id).exists():
        return "Your passkeys don't work at this address. Ask an account admin to reset your MFA."
    return ""


def verify_passkey(
    *, user: "User", response: str, scope: ThrottleScope, client_info: ClientInfo
) -> VerificationResult:
    """Verify the answer of the user's passkey, in the caller's transaction.

    The challenge is used up, whatever comes of it. The caller releases what a success permits, then
    calls `record_success`. Raises `MalformedPasskey` and `PasskeysUnavailable`, before anything is
    counted.
    """
    party = relying_party()
    credential, client_data = read_assertion(response)
    attempt = begin_attempt(user, scope, client_info, method=Method.PASSKEY)
    challenge = use_challenge(
        user_id=user.pk,
        session_ref=scope.session_ref,
        purpose=Purpose.VERIFY,
        challenge=client_data.challenge,
    )
    if challenge is None:
        return _refuse(attempt, "The challenge is unknown, used or expired.")
    passkey = _passkey_of(user, credential, party)
    if passkey is None:
        return _refuse(attempt, "The passkey does not belong to this user.")
    attempt = attempt.made_with(passkey)
    verified = _verify(credential, client_data, challenge, passkey, party)
    if verified is None:
        return _refuse(attempt, "The response could not be verified.")
    if not _is_count_plausible(passkey.sign_count, verified.new_sign_count):
        return _alarm(attempt, passkey, verified.new_sign_count)
    _mark_used(attempt, passkey, verified)
    return succeed(attempt)


def _passkey_of(
    user: "User", credential: AuthenticationCredential, party: RelyingParty
) -> Passkey | None:
    """Return the user's own passkey as the portal wrote it, locked."""
    passkey = (
        Passkey.objects.select_for_update()
        .of(user.pk)
        .filter(credential_id=bytes_to_base64url(credential.raw_id), rp_id=party.rp_id)
        .first()
    )
    if passkey is None or not passkey.is_authentic:
        return None
    handle = credential.response.user_handle
    if handle and bytes_to_base64url(handle) != passkey.user_handle:
        return None
    return passkey


def _verify(
    credential: AuthenticationCredential,
    client_data: CollectedClientData,
    challenge: PasskeyChallenge,
    passkey: Passkey,
    party: RelyingParty,
) -> VerifiedAuthentication | None:
    """Return what the signature proves, None where it proves nothing. The count is checked after it."""
    if client_data.cross_origin:
        return None
    try:
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge.challenge),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=base64url_to_bytes(passkey.public_key),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except PARSE_ERRORS:
        return None
    is_device_bound = verified.credential_device_type == CredentialDeviceType.SINGLE_DEVICE
    return verified if is_device_bound == passkey.is_device_bound else None


def _is_count_plausible(stored: int, new: int) -> bool:
    """Return whether a count went up. Synced passkeys report 0 for ever (WebAuthn, section 6.1.1)."""
    return new > stored or new == stored == 0


def _mark_used(attempt: Attempt, passkey: Passkey, verified: VerifiedAuthentication) -> None:
    passkey.sign_count = verified.new_sign_count
    passkey.is_backed_up = verified.credential_backed_up
    passkey.last_used_at = attempt.now
    passkey.sign().save(update_fields=["sign_count", "is_backed_up", "last_used_at", "mac"])


def _alarm(attempt: Attempt, passkey: Passkey, new_count: int) -> VerificationResult:
    """Refuse a passkey whose count did not go up: somebody may have a copy of it."""
    event = attempt.record(
        EventName.MFA_SUSPECT_PASSKEY,
        passkey=passkey.name,
        stored_count=passkey.sign_count,
        count=new_count,
    )
    emails.passkey_suspected(event=event, user=attempt.user, passkey=passkey)
    return _refuse(attempt, "The passkey's counter did not increase.")


def _refuse(attempt: Attempt, reason: str) -> VerificationResult:
    """Write a refusal; a flood of them writes no more than 30 rows in 15 minutes."""
    ledger = Verification.objects.filter(user_id=attempt.state.user_id, outcome=Outcome.REFUSED)
    recent = ledger.since(attempt.now - SHORT.period).order_by("-id")
    if recent.count() >= MAX_REFUSALS:
        return VerificationResult(attempt, recent[0])
    verification = attempt.write(Outcome.REFUSED)
    attempt.record_outcome(verification, reason=reason)
    return VerificationResult(attempt, verification)
