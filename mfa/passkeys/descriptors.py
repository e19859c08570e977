"""The user's passkeys as options name them to the browser."""

from collections.abc import Iterable

from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.structs import AuthenticatorTransport, PublicKeyCredentialDescriptor

from mfa.models import Passkey

KNOWN_TRANSPORTS = {transport.value for transport in AuthenticatorTransport}


def descriptors(passkeys: Iterable[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=base64url_to_bytes(passkey.credential_id),
            transports=[
                AuthenticatorTransport(name)
                for name in passkey.transports
                if name in KNOWN_TRANSPORTS
            ],
        )
        for passkey in passkeys
    ]
