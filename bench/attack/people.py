"""The accounts of a campaign, with what only their owners know."""

import threading
from dataclasses import dataclass, field

import pyotp

STEP_S = 30


@dataclass(frozen=True)
class Person:
    """``secret`` is that of the authenticator app in base32, empty before set-up."""

    name: str
    id: int
    email: str
    password: str
    secret: str

    def code(self, at: float, steps: int = 0) -> str:
        """Return what this person's authenticator app shows at an instant."""
        return pyotp.TOTP(self.secret).at(at, counter_offset=steps)


@dataclass
class UsedSteps:
    """The last time step of each authenticator whose code was entered by its owner."""

    last: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_code(self, person: Person, now: float) -> str:
        """Return the oldest unused code that is accepted now, "" if there is none.

        A code about to run out is left: on a slow machine it would arrive too late.
        """
        step = int(now) // STEP_S
        oldest = step - 1 if now % STEP_S < STEP_S / 2 else step
        with self.lock:
            unused = max(self.last.get(person.secret, 0) + 1, oldest)
            if unused > step + 1:
                return ""
            self.last[person.secret] = unused
        return person.code(unused * STEP_S)
