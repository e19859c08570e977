"""A model of what must hold, kept beside the portal and without its code.

The portal is compared with it. It knows who entered which code when, who approved what, and what a
flow required at the time; it reads none of the portal's rows.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

HOUR = timedelta(hours=1)
EXTENSION = timedelta(minutes=30)  # each flow permits one

# The allowed transitions, written down again: the portal's own table may be wrong.
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
    """A correct code, entered by its owner; void once the owner's ``generation`` has changed."""

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
        """Void all earlier proofs."""
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
    max_minutes: int = 120

    @property
    def terms(self) -> tuple[Any, ...]:
        """What a request depends on. A change that is taken back is none."""
        people = frozenset(self.requesters), frozenset(self.approvers)
        return (*people, self.require_mfa, self.needs_approval, self.max_minutes)


@dataclass
class ExtensionRequest:
    """Who requested an extension, and the code entered for it."""

    person: Person
    proof: Proof | None


@dataclass
class ExpectedRequest:
    """A request, by what its flow required when it was made."""

    person: Person
    flow: Flow
    terms: tuple[Any, ...]
    require_mfa: bool
    needs_approval: bool
    duration: timedelta
    status: str
    proof: Proof | None = None
    approved_by: dict[int, int] = field(default_factory=dict)  # to each one's generation then
    deadlines: dict[Any, datetime] = field(default_factory=dict)
    extension: ExtensionRequest | None = None
    is_extended: bool = False

    def latest_end(self, grant_id: Any) -> datetime:
        """Return until when the target may admit the login: an extension moves its end first."""
        pending = self.extension is not None and not self.is_extended
        return self.deadlines[grant_id] + (EXTENSION if pending else timedelta(0))

    def extend(self) -> None:
        assert not self.is_extended, "Extended twice"
        self.is_extended = True
        self.deadlines = {pk: end + EXTENSION for pk, end in self.deadlines.items()}

    def activation_obstacle(self, people: dict[int, Person]) -> str:
        """Return why this must not be activated now, or ""."""
        return self._obstacle(people, self.proof)

    def extension_obstacle(self, people: dict[int, Person]) -> str:
        """Return why this must not be extended now, or ""."""
        if self.extension is None or self.extension.person is not self.person:
            return "its requester requested no extension"
        return self._obstacle(people, self.extension.proof)

    def _obstacle(self, people: dict[int, Person], proof: Proof | None) -> str:
        if not self.person.is_active:
            return "the requester was deactivated"
        if not self.flow.is_active:
            return "the flow is deactivated"
        if self.flow.terms != self.terms:
            return "the flow was changed after the request"
        if self.person.user.pk not in self.flow.requesters:
            return "the requester may not request through the flow"
        if self.require_mfa and not self._is_valid(proof):
            return "it has no valid proof of the requester"
        if self.needs_approval and not self._is_approved(people):
            return "no approver has approved it"
        return ""

    def _is_valid(self, proof: Proof | None) -> bool:
        return proof is not None and proof.generation == self.person.generation

    def _is_approved(self, people: dict[int, Person]) -> bool:
        """One approval is enough; for protected access it needs the approver's own code."""
        return any(
            pk in self.flow.approvers
            and pk != self.person.user.pk
            and people[pk].is_active
            and (not self.require_mfa or people[pk].generation == generation)
            for pk, generation in self.approved_by.items()
        )
