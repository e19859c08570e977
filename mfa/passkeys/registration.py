"""Adding a passkey: options for the browser, and its answer."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from webauthn import (
    generate_registration_options,
    options_to_json,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    CollectedClientData,
    CredentialDeviceType,
    RegistrationCredential,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from audit.services import record
from mfa import emails
from mfa.enrolment.reauthentication import require_recent_proof
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.exceptions import PasskeyRefused, TooManyMethods
from mfa.methods.selectors import methods_of
from mfa.models import MfaState, Passkey, PasskeyChallenge
from mfa.passkeys.challenges import Purpose, issue_challenge, use_challenge
from mfa.passkeys.descriptors import descriptors
from mfa.passkeys.relying_party import RelyingParty, relying_party
from mfa.passkeys.responses import PARSE_ERRORS, read_registration
from mfa.verification.locking import lock_state, raise_epoch
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

DEFAULT_NAME = "Passkey"
MAX_PASSKEYS = 10


@dataclass(frozen=True, slots=True)
class AddedPasskey:
    """A new passkey. ``recovery_codes`` come with a user's first method, shown once."""

    passkey: Passkey
    is_first_method: bool
    recovery_codes: list[str] = field(default_factory=list)


def begin_registration(
    *,
    user: "User",
    session_ref: str,
    window: Window | None,
    password_proven_at: datetime | None,
) -> str:
    """Return the options of ``navigator.credentials.create()`` as JSON, with a new challenge.

    It needs an open window of whoever has a method, and a recent password of whoever has none. Raises
    `WindowClosed`, `PasswordNotRecent`, `TooManyMethods`, `TooManyChallenges` and `PasskeysUnavailable`.
    """
    party = relying_party()
    with transaction.atomic():
        _require_may_add(user, window, password_proven_at)
        passkeys = list(Passkey.objects.of(user.pk))
        challenge = issue_challenge(
            user_id=user.pk,
            session_ref=session_ref,
            purpose=Purpose.REGISTER,
            user_handle=passkeys[0].user_handle if passkeys else _new_user_handle(),
        )
    options = generate_registration_options(
        rp_id=party.rp_id,
        rp_name=party.name,
        user_id=base64url_to_bytes(challenge.user_handle),
        user_name=user.email,
        user_display_name=user.name,
        challenge=base64url_to_bytes(challenge.challenge),
        timeout=int(PasskeyChallenge.LIFETIME.total_seconds() * 1000),
        attestation=AttestationConveyancePreference.NONE,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=descriptors(passkeys),
    )
    return options_to_json(options)


def add_passkey(
    *,
    user: "User",
    session_ref: str,
    response: str,
    name: str,
    window: Window | None,
    password_proven_at: datetime | None,
    client_info: ClientInfo,
) -> AddedPasskey:
    """Store the passkey that the browser made for the options of `begin_registration`.

    A user's first method turns MFA on and ends their other sessions. The challenge is used up by a
    refusal too. Raises `MalformedPasskey`, `PasskeyRefused` and what `begin_registration` raises.
    """
    party = relying_party()
    credential, client_data = read_registration(response)
    with transaction.atomic():
        state = lock_state(user.pk)
        _require_may_add(user, window, password_proven_at)
        challenge = use_challenge(
            user_id=user.pk,
            session_ref=session_ref,
            purpose=Purpose.REGISTER,
            challenge=client_data.challenge,
        )
        verified = _verify(credential, client_data, challenge, party)
        if challenge is not None and verified is not None:
            passkey = _store(user, challenge, credential, verified, party, name)
            return _record(user, state, passkey, client_info)
    raise PasskeyRefused


def _require_may_add(
    user: "User", window: Window | None, password_proven_at: datetime | None
) -> None:
    require_recent_proof(user=user, window=window, password_proven_at=password_proven_at)
    if Passkey.objects.of(user.pk).count() >= MAX_PASSKEYS:
        raise TooManyMethods


def _verify(
    credential: RegistrationCredential,
    client_data: CollectedClientData,
    challenge: PasskeyChallenge | None,
    party: RelyingParty,
) -> VerifiedRegistration | None:
    """Return what the response proves, None where it proves nothing."""
    if challenge is None or client_data.cross_origin:
        return None
    try:
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=base64url_to_bytes(challenge.challenge),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except PARSE_ERRORS:
        return None
    credential_id = bytes_to_base64url(verified.credential_id)
    is_known = Passkey.objects.filter(credential_id=credential_id).exists()
    return None if is_known else verified


def _store(
    user: "User",
    challenge: PasskeyChallenge,
    credential: RegistrationCredential,
    verified: VerifiedRegistration,
    party: RelyingParty,
    name: str,
) -> Passkey:
    passkey = Passkey(
        user_id=user.pk,
        credential_id=bytes_to_base64url(verified.credential_id),
        public_key=bytes_to_base64url(verified.credential_public_key),
        sign_count=verified.sign_count,
        user_handle=challenge.user_handle,
        rp_id=party.rp_id,
        transports=[transport.value for transport in credential.response.transports or []],
        aaguid=verified.aaguid,
        is_device_bound=verified.credential_device_type == CredentialDeviceType.SINGLE_DEVICE,
        is_backed_up=verified.credential_backed_up,
        name=name.strip() or DEFAULT_NAME,
    )
    passkey.sign().save(force_insert=True)
    return passkey


def _record(
    user: "User", state: MfaState, passkey: Passkey, client_info: ClientInfo
) -> AddedPasskey:
    is_first = len(methods_of(user.pk)) == 1
    codes: list[str] = []
    if is_first:
        raise_epoch(state)
        if settings.MFA_RECOVERY_CODES:
            codes = replace_recovery_codes(user_id=user.pk)
    event: Event = record(
        event=EventName.MFA_SET_UP if is_first else EventName.MFA_ADD_METHOD,
        actor=user,
        target=passkey,
        client_info=client_info,
        metadata={
            "method": "passkey",
            "name": passkey.name,
            "device_bound": passkey.is_device_bound,
            "backed_up": passkey.is_backed_up,
            "counts_from": passkey.counts_from,
            "recovery_codes": len(codes),
        },
    )
    emails.passkey_added(event=event, user=user, passkey=passkey, client_info=client_info)
    return AddedPasskey(passkey, is_first, codes)


def _new_user_handle() -> str:
    return bytes_to_base64url(secrets.token_bytes(32))
