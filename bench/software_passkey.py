"""A software authenticator: makes the registrations and assertions that a browser would send.

passkey = SoftPasskey()
answer = passkey.register(options)   # options: the JSON text from the portal
answer = passkey.sign(options, user_verified=False)
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ORIGIN = "http://localhost"
UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


@dataclass
class SoftPasskey:
    """One credential (WebAuthn, section 6): ES256, with a count that goes up, or 0 if synced."""

    synced: bool = False
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    user_handle: str = ""

    def register(self, options: str, *, origin: str = ORIGIN, user_verified: bool = True) -> str:
        creation = json.loads(options)
        self.user_handle = creation["user"]["id"]
        numbers = self.key.public_key().public_numbers()
        cose = cbor2.dumps(
            {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        )
        attested = bytes(16) + len(self.credential_id).to_bytes(2) + self.credential_id + cose
        data = self._data(creation["rp"]["id"], AT, user_verified=user_verified) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = _client_data("webauthn.create", creation["challenge"], origin)
        return self._answer(
            clientDataJSON=encode(client), attestationObject=encode(statement), transports=["usb"]
        )

    def sign(
        self,
        options: str,
        *,
        origin: str = ORIGIN,
        rp_id: str = "",
        user_verified: bool = True,
        cross_origin: bool = False,
    ) -> str:
        request = json.loads(options)
        data = self._data(rp_id or request["rpId"], 0, user_verified=user_verified)
        client = _client_data(
            "webauthn.get", request["challenge"], origin, cross_origin=cross_origin
        )
        signed = data + hashlib.sha256(client).digest()
        return self._answer(
            clientDataJSON=encode(client),
            authenticatorData=encode(data),
            signature=encode(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
            userHandle=self.user_handle,
        )

    def _data(self, rp_id: str, flags: int, *, user_verified: bool) -> bytes:
        flags |= UP | (UV if user_verified else 0) | (BE | BS if self.synced else 0)
        self.count += 0 if self.synced else 1
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _answer(self, **response: Any) -> str:
        name = encode(self.credential_id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _client_data(kind: str, challenge: str, origin: str, *, cross_origin: bool = False) -> bytes:
    data = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": cross_origin}
    return json.dumps(data).encode()


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
