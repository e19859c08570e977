"""Accounts as ACL LIST shows them, and the marker on those of the portal.

A marker is a selector that permits no command, and so nothing: its key pattern holds the text.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.markers import derive_mark
from accessflows.connectors.protocol import GrantSpec, grant_id_of

SERVER_ACCOUNT = "apono_server"
SERVER_PATTERN = "~apono-server/"
MARKER_PATTERN = "~apono-portal/"
MAX_SERVER_ID_LENGTH = 32
CONTAINED = datetime(1970, 1, 1, tzinfo=UTC)  # the end in the marker of a contained account
NO_RIGHTS = ("resetchannels", "-@all")

_RULE = re.compile(r"\([^()]*\)|\S+")
_NAME = re.compile(r"[A-Za-z0-9_.:@-]{1,63}")


@dataclass(frozen=True)
class Marker:
    """What tells an account of the portal from others. `rules` is a digest of what it was given."""

    portal_id: str
    deadline: datetime
    mark: str
    permission: str
    rules: str

    @classmethod
    def of(cls, spec: GrantSpec, rules: Iterable[str]) -> "Marker":
        return cls(
            spec.portal_id,
            spec.deadline,
            derive_mark(spec.login),
            spec.permission,
            digest_of(rules),
        )

    def selector(self) -> str:
        texts = (self.portal_id, self.deadline.isoformat(), self.mark, self.permission, self.rules)
        return f"({MARKER_PATTERN}{'/'.join(quote(text, safe='') for text in texts)})"


@dataclass(frozen=True)
class Account:
    """An account as it is. `rules` are what it may do, without sign-in and marker."""

    name: str
    can_login: bool
    has_password: bool
    rules: tuple[str, ...]
    marker: Marker | None

    @property
    def has_rights(self) -> bool:
        return bool(set(self.rules).difference(NO_RIGHTS))

    @property
    def is_template(self) -> bool:
        """Whether nobody can sign in with it, so that it can only be a permission."""
        special = grant_id_of(self.name) is not None or self.name in {"default", SERVER_ACCOUNT}
        return not (self.can_login or self.has_password or special) and self.has_rights


def parse_account(line: str) -> Account:
    """Return the account in a line of ACL LIST."""
    _, name, *rules = _RULE.findall(line)
    markers = [marker for rule in rules if (marker := _read_marker(rule))]
    others = [rule for rule in rules if not _is_about_sign_in(rule) and _read_marker(rule) is None]
    return Account(
        name,
        can_login="on" in rules,
        has_password=any(rule == "nopass" or rule.startswith("#") for rule in rules),
        rules=tuple(others),
        marker=markers[0] if len(markers) == 1 else None,
    )


def server_id_in(accounts: Iterable[Account]) -> str:
    """Return the name of the server, "" if it has none."""
    for account in accounts:
        if account.name == SERVER_ACCOUNT:
            for rule in account.rules:
                if rule.startswith(f"({SERVER_PATTERN}"):
                    return (
                        rule.strip("()")
                        .split()[0]
                        .removeprefix(SERVER_PATTERN)[:MAX_SERVER_ID_LENGTH]
                    )
    return ""


def digest_of(rules: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(rules)).encode()).hexdigest()[:16]


def check_name(name: str, what: str) -> str:
    """Return a name that can be sent as one word, else raise TargetRefused."""
    if not _NAME.fullmatch(name):
        raise TargetRefused(
            f"The name of the {what} has characters other than letters, digits and _.:@-. Rename it."
        )
    return name


def _is_about_sign_in(rule: str) -> bool:
    return rule in {"on", "off", "nopass", "sanitize-payload", "skip-sanitize-payload"} or (
        rule.startswith("#")
    )


def _read_marker(rule: str) -> Marker | None:
    if not rule.startswith(f"({MARKER_PATTERN}"):
        return None
    texts = rule.strip("()").split()[0].removeprefix(MARKER_PATTERN).split("/")
    try:
        portal_id, deadline, mark, permission, rules = map(unquote, texts)
        marker = Marker(portal_id, datetime.fromisoformat(deadline), mark, permission, rules)
    except ValueError:
        return None
    return marker if marker.deadline.tzinfo is not None else None
