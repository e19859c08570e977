"""The words and the calls every connector shares.

All results are frozen, carry no secret in `repr()` and turn into JSON through `as_dict()`.
All calls are idempotent, bounded in time, and raise only `errors.ConnectorError` subclasses.
"""

import base64
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Protocol

from accessflows.connectors.errors import ConnectorError

ROLE_PREFIX = "jit_"


def _as_json(value: object) -> object:
    if is_dataclass(value):
        return {f.name: _as_json(getattr(value, f.name)) for f in fields(value) if f.repr}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_json(item) for item in value]
    return value


class JsonRecord:
    """A frozen dataclass that turns into JSON. Fields with `repr=False` are secrets and stay out."""

    __slots__ = ()

    def as_dict(self) -> dict[str, object]:
        return {f.name: _as_json(getattr(self, f.name)) for f in fields(self) if f.repr}  # type: ignore[arg-type]


@dataclass(frozen=True)
class Target(JsonRecord):
    """Where an integration lives and how the portal's broker signs in there.

    `database` is the maintenance database the broker connects to first. A webhook is reached at
    `url`, and its `password` is the secret that calls are signed with.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str = "prefer"
    sslrootcert: str = ""
    url: str = ""
    connect_timeout_s: int = 5
    statement_timeout_s: int = 10
    lock_timeout_s: int = 3


@dataclass(frozen=True)
class GrantSpec(JsonRecord):
    """What was approved: who may do what, where, until when. `deadline` is aware and absolute.

    `system_identifier` is the server the approval was about; empty means any.
    """

    grant_id: uuid.UUID
    portal_id: str
    resource: str
    permission: str
    deadline: datetime
    connection_limit: int = 3
    system_identifier: str = ""

    def __post_init__(self) -> None:
        if self.deadline.tzinfo is None:
            raise ValueError("A grant's deadline carries its time zone.")

    @property
    def role_name(self) -> str:
        return role_name_of(self.grant_id)


def role_name_of(grant_id: uuid.UUID) -> str:
    """The login role of a grant: 30 characters, unique, safe in every identifier limit."""
    return ROLE_PREFIX + base64.b32encode(grant_id.bytes).decode().rstrip("=").lower()


def grant_id_of(role_name: str) -> uuid.UUID | None:
    """The grant a role name was made from, or None if it was not made by `role_name_of`."""
    encoded = role_name.removeprefix(ROLE_PREFIX)
    if encoded == role_name or len(encoded) != 26:
        return None
    try:
        grant_id = uuid.UUID(bytes=base64.b32decode(encoded.upper() + "======"))
    except ValueError:
        return None
    return grant_id if role_name_of(grant_id) == role_name else None


@dataclass(frozen=True, slots=True)
class GrantIdentity(JsonRecord):
    """Which role on which server is the grant's: a name can be taken by others, these three not."""

    role_name: str
    role_oid: int
    system_identifier: str


@dataclass(frozen=True)
class Activation(JsonRecord):
    """`clock_skew` is positive when the target's clock is ahead. `valid_until` is what the target enforces."""

    identity: GrantIdentity
    server_version: int
    server_time: datetime
    clock_skew: timedelta
    valid_until: datetime
    already_there: bool


@dataclass(frozen=True)
class Credential(JsonRecord):
    """Shown once to its owner and kept nowhere."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Containment(JsonRecord):
    """Nobody can use the grant any more, whatever is still to be cleaned.

    `prepared_transactions` are those the grantee left open, `memberships_left` rights that another
    administrator gave the role by hand; neither lets anybody in.
    """

    sessions_ended: int
    orphans_ended: int
    prepared_transactions: tuple[str, ...] = ()
    memberships_left: tuple[str, ...] = ()
    was_absent: bool = False


@dataclass(frozen=True)
class ResidueItem(JsonRecord):
    """One thing the grantee left behind. `kind` says how, `name` describes it."""

    database: str
    kind: str
    name: str


@dataclass(frozen=True)
class OwnedObject(JsonRecord):
    items: tuple[ResidueItem, ...]


@dataclass(frozen=True)
class Cleaning(JsonRecord):
    """`moved` was put out of everybody's reach, `removed` is gone, `rolled_back` were open transactions."""

    databases: tuple[str, ...] = ()
    moved: tuple[ResidueItem, ...] = ()
    removed: tuple[ResidueItem, ...] = ()
    rolled_back: tuple[str, ...] = ()
    was_absent: bool = False


@dataclass(frozen=True)
class Proof(JsonRecord):
    """What the target itself says after the end. `checked_at` is the target's clock."""

    role_gone: bool
    sessions_gone: bool
    residue_none: bool
    checked_at: datetime
    method: str
    details: Mapping[str, object]

    @property
    def holds(self) -> bool:
        return self.role_gone and self.sessions_gone and self.residue_none

    def as_dict(self) -> dict[str, object]:
        return {"holds": self.holds, **super().as_dict()}


@dataclass(frozen=True)
class Check(JsonRecord):
    """One green or red line about a target. `remedy_sql` is what its administrator can run."""

    name: str
    ok: bool
    sentence: str
    remedy_sql: str = ""

    @classmethod
    def green(cls, name: str, sentence: str) -> "Check":
        return cls(name=name, ok=True, sentence=sentence)

    @classmethod
    def red(cls, name: str, sentence: str, remedy_sql: str = "") -> "Check":
        return cls(name=name, ok=False, sentence=sentence, remedy_sql=remedy_sql)


@dataclass(frozen=True)
class CapabilityRole(JsonRecord):
    """A role that could be listed as a permission. `refusal` says why it must not be, or is empty."""

    name: str
    databases: tuple[str, ...]
    refusal: str = ""


@dataclass(frozen=True)
class Inventory(JsonRecord):
    databases: tuple[str, ...]
    roles: tuple[CapabilityRole, ...]
    server_version: int
    system_identifier: str


@dataclass(frozen=True)
class Right(JsonRecord):
    """What a permission lets one do with one object, and through which role it comes."""

    kind: str
    name: str
    privileges: tuple[str, ...]
    via: str


@dataclass(frozen=True, slots=True)
class Membership(JsonRecord):
    """`admin`: may hand it on. `may_set`: may act as that role, where membership can be without it."""

    name: str
    admin: bool
    may_set: bool


@dataclass(frozen=True, slots=True)
class ManagedRole(JsonRecord):
    """A role as it stands on the target. `name` is the one it has now.

    `grant_id`, `portal_id` and `deadline` come from its marker: None or empty if it has lost it.
    """

    identity: GrantIdentity
    name: str
    grant_id: uuid.UUID | None
    portal_id: str
    deadline: datetime | None
    valid_until: datetime | None
    can_login: bool
    has_attributes: bool
    memberships: tuple[Membership, ...]


@dataclass(frozen=True)
class RoleListing(JsonRecord):
    """What is there of one portal, by the target's clock, as far as the OID `upto`: to the end if None."""

    server_time: datetime
    system_identifier: str
    roles: tuple[ManagedRole, ...]
    upto: int | None = None


class Connector(Protocol):
    """A kind of target system. Between calls an implementation holds nothing but idle connections."""

    def preflight(
        self,
        target: Target,
        permissions: Sequence[str] | None = None,
        *,
        portal_id: str | None = None,
    ) -> list[Check]:
        """Every right the broker needs, green or red. `permissions` limits the roles looked at,
        `portal_id` the logins made earlier that it must be able to end."""

    def discover(self, target: Target) -> Inventory: ...

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        """What each permission lets one do with the resource, in sentences for people."""

    def check_permission(self, target: Target, permission: str) -> None:
        """Raise TargetRefused if this must never be granted to anybody."""

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        """Make the grant, without any credential yet. Adopts what an earlier try has made."""

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        """Find what an activation made whose answer was lost. None if there is nothing."""

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        """A new password for the grant's owner; an earlier one stops working."""

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, end_sessions: bool
    ) -> Credential: ...

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        """Move the end of open access to `spec.deadline`, never to earlier. What is enforced then.

        `since` is the end last known to be enforced: what was cut or shortened is not revived.
        """

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        """End all use now: no new login, no open session."""

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        """`contain` for many at once over one connection. One failure does not stop the others."""

    def end_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Wait until a moment at most two seconds away, then tell the sessions of those whose end
        has come by the target's own word to end. Returns how many sessions of each were told.

        It only makes containment quick, and waits for no session. Anybody may do it at any time.
        """

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObject: ...

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        """Put away what was left behind and remove the role. Only after `contain`."""

    def prove(self, target: Target, identity: GrantIdentity) -> Proof: ...

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        """`prove` for many at once. One failure does not stop the others."""

    def list_managed_roles(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: int = 0,
        upto: int | None = None,
    ) -> RoleListing:
        """The roles with this portal's marker, and those of `identities` whatever their marker.

        In the order of their OIDs, from behind `after` on and no further than `upto`. There may be
        thousands, so an answer may stop before that and say where.
        """

    def canary(
        self, target: Target, resource: str, permission: str, *, portal_id: str
    ) -> Iterator[Check]:
        """A full cycle with a grant of its own: make, reveal, log in, end, prove. One check a step."""
