"""The names of grants' logins on targets, and the grant of such a name."""

import base64
import uuid

LOGIN_PREFIX = "jit_"


def login_of(grant_id: uuid.UUID) -> str:
    """Return the login of a grant: 30 characters, unique, within every identifier limit."""
    return LOGIN_PREFIX + base64.b32encode(grant_id.bytes).decode().rstrip("=").lower()


def grant_id_of(login: str) -> uuid.UUID | None:
    """Return the grant whose login has this name, or None if `login_of` did not make it."""
    encoded = login.removeprefix(LOGIN_PREFIX)
    if encoded == login or len(encoded) != 26:
        return None
    try:
        grant_id = uuid.UUID(bytes=base64.b32decode(encoded.upper() + "======"))
    except ValueError:
        return None
    return grant_id if login_of(grant_id) == login else None
