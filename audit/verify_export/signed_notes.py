"""Signed notes (https://c2sp.org/signed-note) with Ed25519 keys, and the checkpoints in them.

A checkpoint is a note whose text has three lines: the origin, the number of events, and the chain hash
of the last in base64. The origin is the name of the key that signed it. Keys are texts, too:
``name+id+data`` is public, ``PRIVATE+KEY+name+id+data`` signs.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

ED25519 = b"\x01"
KEY_BYTES = 32
_PRIVATE = "PRIVATE+KEY+"
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})\n")
_CHECKPOINT = re.compile(
    r"(?P<origin>[^\s\"+]+)\n(?P<size>[1-9][0-9]{0,17})\n(?P<hash>[A-Za-z0-9+/]{43}=)\n"
    rf"\n(?:{_SIGNATURE.pattern})+"
)


class InvalidNote(ValueError):
    """The text is no signed note or no key, or its signature is wrong. The message is a sentence."""


@dataclass(frozen=True)
class PublicKey:
    """A public key, which only verifies."""

    name: str
    data: bytes

    @cached_property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.data).digest()[:4]

    def __str__(self) -> str:
        data = base64.b64encode(ED25519 + self.data).decode()
        return f"{self.name}+{self.key_id.hex()}+{data}"

    def verifies(self, text: str, signature: bytes) -> bool:
        """Return whether this key made the signature. Needs the package cryptography."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.data).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class SigningKey:
    """A private key. Only workers have one."""

    name: str
    secret: bytes

    @cached_property
    def public_key(self) -> PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        public = Ed25519PrivateKey.from_private_bytes(self.secret).public_key()
        return PublicKey(self.name, public.public_bytes_raw())

    def __str__(self) -> str:
        data = base64.b64encode(ED25519 + self.secret).decode()
        return f"{_PRIVATE}{self.name}+{self.public_key.key_id.hex()}+{data}"

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"

    def sign(self, text: str) -> str:
        """Return the note: the text, which ends with a line feed, and its signature."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        signature = Ed25519PrivateKey.from_private_bytes(self.secret).sign(text.encode())
        data = base64.b64encode(self.public_key.key_id + signature).decode()
        return f"{text}\n— {self.name} {data}\n"


@dataclass(frozen=True)
class CheckpointNote:
    """A checkpoint as its note states it. Nothing is verified yet."""

    origin: str
    size: int
    chain_hash: str
    note: str


def checkpoint_text(origin: str, size: int, chain_hash: str) -> str:
    return f"{origin}\n{size}\n{_base64_of(chain_hash)}\n"


def stub_text(origin: str, stub: Mapping[str, object]) -> str:
    """Return what is signed for a retention stub: what was removed, the hashes around it, its own."""
    removed = f"{stub['first_position']} {stub['through_position']} {stub['events']}"
    hashes = [_base64_of(str(stub[name])) for name in ("previous_chain_hash", "chain_hash", "hash")]
    return "\n".join([f"{origin} retention", removed, *hashes, ""])


def _base64_of(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def make_signing_key(portal_id: str) -> SigningKey:
    """Return a new key, named after the log whose checkpoints it signs."""
    return SigningKey(f"{portal_id}/audit-log", secrets.token_bytes(KEY_BYTES))


def parse_signing_key(text: str) -> SigningKey:
    if not text.startswith(_PRIVATE):
        raise InvalidNote(f"A signing key starts with {_PRIVATE}.")
    name, key_id, data = _key_parts(text.removeprefix(_PRIVATE))
    key = SigningKey(name, data)
    if key.public_key.key_id.hex() != key_id:
        raise InvalidNote(f"The id of the signing key {name} does not belong to it.")
    return key


def parse_public_key(text: str) -> PublicKey:
    if text.startswith(_PRIVATE):
        raise InvalidNote("This is a signing key. Use the public key that belongs to it.")
    name, key_id, data = _key_parts(text)
    key = PublicKey(name, data)
    if key.key_id.hex() != key_id:
        raise InvalidNote(f"The id of the public key {name} does not belong to it.")
    return key


def _key_parts(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        data = base64.b64decode(encoded, validate=True)
    except ValueError:
        data = b""
    if not re.fullmatch(r"[^\s\"+]+", name) or len(data) != 1 + KEY_BYTES or data[:1] != ED25519:
        raise InvalidNote("A key has the form name+id+data and is an Ed25519 key.")
    return name, key_id, data[1:]


def require_signature(note: str, keys: Iterable[PublicKey]) -> PublicKey:
    """Return the key that signed a note, or raise `InvalidNote`. Signatures of unknown keys are ignored.

    A signature that names a known key and is not its own makes the note invalid.
    """
    text, _, signatures = note.rpartition("\n\n")
    known = {(key.name, key.key_id): key for key in keys}
    signed_by = []
    for name, encoded in _SIGNATURE.findall(signatures):
        try:
            data = base64.b64decode(encoded)
        except ValueError:
            raise InvalidNote("its signature cannot be read") from None
        if key := known.get((name, data[:4])):
            if not key.verifies(f"{text}\n", data[4:]):
                raise InvalidNote(f"the signature of {key.name} is wrong")
            signed_by.append(key)
    if not signed_by:
        raise InvalidNote("no known key signed it")
    return signed_by[0]


def read_checkpoints(text: str) -> list[CheckpointNote]:
    """Return the checkpoints of a file: as sent, or in lines of a syslog, where they are JSON strings.

    Raises `InvalidNote` if there is none, or a signature without a checkpoint.
    """
    text = text.replace("\r\n", "\n").replace("\\n", "\n")
    checkpoints, signatures = [], 0
    for match in _CHECKPOINT.finditer(text):
        chain_hash = base64.b64decode(match["hash"]).hex()
        note = match[0]
        checkpoints.append(CheckpointNote(match["origin"], int(match["size"]), chain_hash, note))
        signatures += note.count("\n— ")
    if not checkpoints:
        raise InvalidNote("There is no signed checkpoint in it.")
    if len(re.findall("^— ", text, re.MULTILINE)) != signatures:
        raise InvalidNote("It has signatures that belong to no checkpoint: it was cut or changed.")
    return checkpoints
