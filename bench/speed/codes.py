"""Six-digit codes of people whose secret we made, each used once (RFC 6238)."""

import hashlib
import hmac
import struct
import threading
import time
from typing import Any

from bench.speed.turns import Deal

STEP_S = 30


def totp(secret: bytes, counter: int) -> str:
    digest = hmac.new(secret, struct.pack(">Q", counter), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class FreshCodes:
    """Hands out a person and a code that is right and was not used: two a person at any moment, not
    the step before, which may be over when the code arrives."""

    def __init__(self, people: list[dict[str, Any]]) -> None:
        self._lock = threading.Lock()
        self._deal = Deal(people)
        self._used: dict[str, int] = {}

    def next(self) -> tuple[dict[str, Any], str]:
        with self._lock:
            person = self._deal.next()
            now = int(time.time()) // STEP_S
            counter = max(self._used.get(person["secret"], 0) + 1, now)
            while counter > int(time.time()) // STEP_S + 1:
                time.sleep(0.2)  # everybody has used both
            self._used[person["secret"]] = counter
            return person, totp(bytes.fromhex(person["secret"]), counter)


def wrong_code(person: dict[str, Any]) -> str:
    """Six digits that are none of the codes around this moment."""
    now = int(time.time()) // STEP_S
    near = {totp(bytes.fromhex(person["secret"]), now + step) for step in range(-3, 4)}
    return next(code for code in ("123456", "234567", "345678", "456789") if code not in near)
