"""What is true in a life, kept beside the portal and without its code.

The portal's answers are held against this. It knows who typed which code when, who has said yes to
what, and what a flow asked for at the time; it reads no row of the portal's.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

HOUR = timedelta(hours=1)

# Where a request may go from where. Written down here once more: the portal's own table may be wrong.
TABLE = {
    "pending_mfa": {"pending_approval", "granting", "lapsed", "cancelled"},
    "pending_approval": {"granting", "pending_mfa", "rejected", "lapsed", "cancelled"},
    "granting": {"active", "revoking", "pending_mfa", "pending_approval", "failed", "cancelled"},
    "active": {"revoking"},
    "revoking": {"expired", "revoked"},
}
OVER = {"expired", "revoked", "rejected", "lapsed", "cancelled", "failed"}
PROTECTED_NEEDS_PROOF = {"pending_approval", "granting", "active", "revoking"}


@dataclass
class Proof:
    """A right code, typed by its owner. It is void once the owner's ``generation`` moved on."""

    at: datetime
    generation: int


@dataclass
class Person:
    user: Any
    is_active: bool = True
    authenticator: Any = None
    generation: int = 0
    proof: Proof | None = None
    window: Any = None  # the portal's own value of it, as a session keeps it
    last_code: str = "000000"

    def void(self) -> None:
        """Whatever was proven before counts no more."""
        self.generation += 1

    def has_open_window(self, now: datetime) -> bool:
        proof = self.proof
        if proof is None or self.authenticator is None or not self.is_active:
            return False
        return proof.generation == self.generation and timedelta(0) <= now - proof.at < HOUR


@dataclass
class Flow:
    row: Any
    requesters: set[int]
    approvers: set[int]
    require_mfa: bool = False
    needs_approval: bool = False
    is_active: bool = True
    version: int = 0


@dataclass
class Asked:
    """A request, by what its flow asked for when it was made."""

    person: Person
    flow: Flow
    version: int
    require_mfa: bool
    needs_approval: bool
    duration: timedelta
    status: str
    proof: Proof | None = None
    approved_by: dict[int, int] = field(default_factory=dict)  # to each one's generation then
    deadlines: dict[Any, datetime] = field(default_factory=dict)

    def why_not_open(self, people: dict[int, Person]) -> str:
        """Say why this must not be opened now, or return ""."""
        if not self.person.is_active:
            return "the requester was deactivated"
        if not self.flow.is_active:
            return "the flow is off"
        if self.flow.version != self.version:
            return "the flow was changed since it was asked for"
        if self.person.user.pk not in self.flow.requesters:
            return "the requester may not ask through the flow"
        if self.require_mfa and not self._is_proven():
            return "no genuine proof of the requester stands behind it"
        if self.needs_approval and not self._is_approved(people):
            return "nobody who may has approved it"
        return ""

    def _is_proven(self) -> bool:
        return self.proof is not None and self.proof.generation == self.person.generation

    def _is_approved(self, people: dict[int, Person]) -> bool:
        """One approver's word is enough; on protected access it stands on that person's own code."""
        return any(
            pk in self.flow.approvers
            and pk != self.person.user.pk
            and people[pk].is_active
            and (not self.require_mfa or people[pk].generation == generation)
            for pk, generation in self.approved_by.items()
        )
