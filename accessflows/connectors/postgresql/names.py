"""Names and the ownership marker: which roles are ours, and which names may be sent to a target."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.protocol import GrantSpec

MAX_NAME_BYTES = 63  # NAMEDATALEN - 1; the server truncates longer names silently
GRAVEYARD_ROLE = "jit_graveyard"  # owns what grantees left behind, without any rights
_MARKER_KEY = "apono-portal"


def check_name(name: str, what: str) -> str:
    """Return the name if the server accepts it unchanged, else raise TargetRefused."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise TargetRefused(f"The name of the {what} is not valid Unicode. Rename it.") from None
    if not name:
        raise TargetRefused(f"The name of the {what} is empty. Choose one.")
    if any(character < " " or character == "\x7f" for character in name):
        raise TargetRefused(f"The name of the {what} contains control characters. Rename it.")
    if size > MAX_NAME_BYTES:
        raise TargetRefused(
            f"The name of the {what} is {size} bytes long; PostgreSQL keeps only "
            f"{MAX_NAME_BYTES}. Use its actual name."
        )
    return name


def check_role_name(name: str, what: str = "permission") -> str:
    """Like `check_name`, and refuse the names PostgreSQL reserves."""
    check_name(name, what)
    if name.startswith("pg_"):
        raise TargetRefused(
            f"{name} is one of PostgreSQL's predefined roles and must not be granted. "
            "Create a role with just the rights that are needed."
        )
    if name in {"public", "none"}:
        raise TargetRefused(f"{name} is a reserved word, not a role. Choose another role.")
    return name


def lock_key(grant_id: uuid.UUID) -> int:
    """Return the key of a grant's advisory lock, held by whatever creates or drops its role."""
    digest = hashlib.sha256(b"apono-portal grant " + grant_id.bytes).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class Marker:
    """The comment on a role of the portal. `deadline` is the one approved, in UTC.

    `reference` is the request's, for whoever reads the comment on the server; `by_agent`: an AI agent
    made that request.
    """

    portal_id: str
    grant_id: uuid.UUID
    deadline: datetime
    reference: str = ""
    by_agent: bool = False

    @classmethod
    def of(cls, spec: GrantSpec) -> "Marker":
        return cls(spec.portal_id, spec.grant_id, spec.deadline, spec.reference, spec.by_agent)

    def comment(self) -> str:
        fields = {
            _MARKER_KEY: self.portal_id,
            "grant": str(self.grant_id),
            "deadline": self.deadline.isoformat(),
        }
        notes = {"request": self.reference, "agent": self.by_agent}
        return json.dumps(fields | {name: note for name, note in notes.items() if note})


def read_marker(comment: str | None) -> Marker | None:
    """Return the marker in a comment, or None if it is not exactly one of the portal's."""
    try:
        fields = json.loads(comment or "")
        deadline = datetime.fromisoformat(fields["deadline"])
        reference = str(fields.get("request", ""))
        by_agent = fields.get("agent") is True
        portal_id, grant_id = str(fields[_MARKER_KEY]), uuid.UUID(fields["grant"])
        marker = Marker(portal_id, grant_id, deadline, reference, by_agent)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return marker if deadline.tzinfo is not None else None
