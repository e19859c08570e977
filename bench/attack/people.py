"""The people of a campaign, with what only they know."""

import hashlib
import hmac
import struct
import threading
from dataclasses import dataclass, field, replace

STEP_S = 30


@dataclass(frozen=True)
class Person:
    name: str
    id: int
    email: str
    password: str
    secret: str

    def with_secret(self, secret: str) -> "Person":
        """The same person after a new set-up."""
        return replace(self, secret=secret)

    def code(self, at: float, steps: int = 0) -> str:
        """What this person's authenticator app shows at an instant (RFC 6238, RFC 4226 5.3)."""
        return totp(bytes.fromhex(self.secret), at + steps * STEP_S)


@dataclass
class SpentSteps:
    """The last step of each authenticator of which a code was entered by its rightful owner."""

    last: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_code(self, person: Person, now: float) -> str:
        """Return the oldest code taken at this instant that was not asked for yet, "" if none is.

        One that is about to run out is left: on a slow machine it would arrive too late.
        """
        step = int(now) // STEP_S
        oldest = step - 1 if now % STEP_S < STEP_S / 2 else step
        with self.lock:
            fresh = max(self.last.get(person.secret, 0) + 1, oldest)
            if fresh > step + 1:
                return ""
            self.last[person.secret] = fresh
        return person.code(fresh * STEP_S)


def totp(secret: bytes, at: float) -> str:
    digest = hmac.new(secret, struct.pack(">Q", int(at) // STEP_S), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
