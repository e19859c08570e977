"""Names and the ownership marker: what is ours on a target, and what may be sent to it at all."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.protocol import GrantSpec

LONGEST_NAME_BYTES = 63  # NAMEDATALEN - 1; the server cuts longer names silently
GRAVEYARD_ROLE = "jit_graveyard"  # owns what grantees left behind, can do nothing with it
_MARKER_KEY = "apono-portal"


def check_name(name: str, what: str) -> str:
    """The name itself if the server would take it as it is, else a sentence that says why not."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise TargetRefused(f"The name of the {what} is not valid Unicode. Rename it.") from None
    if not name:
        raise TargetRefused(f"The name of the {what} is empty. Choose one.")
    if any(character < " " or character == "\x7f" for character in name):
        raise TargetRefused(f"The name of the {what} has control characters in it. Rename it.")
    if size > LONGEST_NAME_BYTES:
        raise TargetRefused(
            f"The name of the {what} is {size} bytes long, PostgreSQL keeps only "
            f"{LONGEST_NAME_BYTES}. Use its real, shorter name."
        )
    return name


def check_role_name(name: str, what: str = "permission") -> str:
    """`check_name`, and none of the names PostgreSQL keeps for itself."""
    check_name(name, what)
    if name.startswith("pg_"):
        raise TargetRefused(
            f"{name} is one of PostgreSQL's predefined roles and must not be granted. "
            "Make a role of your own with just the rights that are needed."
        )
    if name in {"public", "none"}:
        raise TargetRefused(f"{name} is a reserved word, not a role. Choose a role of your own.")
    return name


def lock_key(grant_id: uuid.UUID) -> int:
    """The advisory lock of a grant: everything that changes its role holds it."""
    digest = hashlib.sha256(b"apono-portal grant " + grant_id.bytes).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@dataclass(frozen=True, slots=True)
class Marker:
    """The comment on a role of ours. `deadline` is the one approved, in UTC."""

    portal_id: str
    grant_id: uuid.UUID
    deadline: datetime

    @classmethod
    def of(cls, spec: GrantSpec) -> "Marker":
        return cls(spec.portal_id, spec.grant_id, spec.deadline)

    def comment(self) -> str:
        return json.dumps(
            {
                _MARKER_KEY: self.portal_id,
                "grant": str(self.grant_id),
                "deadline": self.deadline.isoformat(),
            }
        )


def read_marker(comment: str | None) -> Marker | None:
    """The marker in a comment, or None if the comment is not exactly one of ours."""
    try:
        said = json.loads(comment or "")
        deadline = datetime.fromisoformat(said["deadline"])
        marker = Marker(str(said[_MARKER_KEY]), uuid.UUID(said["grant"]), deadline)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return marker if deadline.tzinfo is not None else None
