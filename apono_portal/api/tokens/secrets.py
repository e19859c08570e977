"""The form of a token: ``apt_``, 43 characters of base 62, and six of a checksum.

Secret scanners find the prefix, and what is mistyped or made up is refused without the database.
"""

import hashlib
import re
import secrets
import string
import zlib

ALPHABET = string.digits + string.ascii_letters
PREFIX = "apt_"
SECRET_LENGTH, CHECKSUM_LENGTH = 43, 6  # 43 of 62 characters hold 256 bits
FORM = re.compile(rf"{PREFIX}([0-9A-Za-z]{{{SECRET_LENGTH}}})([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})")
SHOWN_LENGTH = 12


def new_secret() -> str:
    random_part = "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return f"{PREFIX}{random_part}{_checksum(random_part)}"


def is_well_formed(token: str) -> bool:
    match = FORM.fullmatch(token)
    return match is not None and _checksum(match[1]) == match[2]


def hash_of(token: str) -> str:
    """Return what is stored: a token is random, so that no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits += ALPHABET[digit]
    return digits
