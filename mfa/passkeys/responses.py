"""Reading what the browser answers. Whatever cannot be read is `MalformedPasskey`, never a crash."""

import binascii

from webauthn.helpers import (
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticationCredential,
    CollectedClientData,
    RegistrationCredential,
)

from mfa.exceptions import MalformedPasskey

MAX_LENGTH = 100_000
# What the parsers of the library raise on hostile input.
PARSE_ERRORS = (
    WebAuthnException,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    binascii.Error,
)


def read_assertion(text: str) -> tuple[AuthenticationCredential, CollectedClientData]:
    """Return an authentication response and its client data."""
    try:
        credential = parse_authentication_credential_json(_limited(text))
        return credential, parse_client_data_json(credential.response.client_data_json)
    except PARSE_ERRORS:
        raise MalformedPasskey from None


def read_registration(text: str) -> tuple[RegistrationCredential, CollectedClientData]:
    """Return a registration response and its client data."""
    try:
        credential = parse_registration_credential_json(_limited(text))
        return credential, parse_client_data_json(credential.response.client_data_json)
    except PARSE_ERRORS:
        raise MalformedPasskey from None


def _limited(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise ValueError("too long")
    return text
