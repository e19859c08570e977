"""The vocabulary and the calls that all connectors share.

All results are frozen, carry no secret in `repr()` and convert to JSON through `as_dict()`.
All calls are idempotent, bounded in time, and raise only `errors.ConnectorError` subclasses.
"""

import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self, TypeVar, cast

from accessflows.connectors.errors import ConnectorError
from apono_portal.core.formatting import login_names

LOGIN_PREFIX = login_names.LOGIN_PREFIX
login_of = login_names.login_of
grant_id_of = login_names.grant_id_of


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
    """A frozen dataclass that converts to JSON. Fields with `repr=False` are secrets and left out."""

    __slots__ = ()

    def as_dict(self) -> dict[str, object]:
        return cast(dict[str, object], _as_json(self))


def setting(
    label: str,
    default: str,
    *,
    help_text: str = "",
    max_length: int = 63,
    choices: Sequence[tuple[str, str]] = (),
    required: bool = True,
) -> str:
    """Declare a field of `TargetSettings` with what the form about it shows."""
    shown = SettingField(label, help_text, max_length, tuple(choices), required)
    value: str = field(default=default, metadata={SETTING: shown})
    return value


SETTING = "setting"


@dataclass(frozen=True)
class SettingField:
    """How a form asks for one setting."""

    label: str
    help_text: str
    max_length: int
    choices: tuple[tuple[str, str], ...]
    required: bool


@dataclass(frozen=True)
class TargetSettings(JsonRecord):
    """What one kind of target needs to know beyond an address. Subclasses declare `setting` fields."""

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """Return stored values as settings; what is missing has its default."""
        names = {setting.name for setting in fields(cls)}
        return cls(**{name: str(value) for name, value in values.items() if name in names})

    def address(self, kind: str, host: str, port: int) -> str:
        """Return what identifies the target in the fingerprint of every flow that uses it."""
        return f"{kind}://{host}:{port}"


S = TypeVar("S", bound=TargetSettings)


@dataclass(frozen=True)
class Target(JsonRecord):
    """The address of an integration and the credential of the portal's broker.

    Accounts of a portal other than `portal_id` are not touched. `settings` are those of its kind.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    settings: TargetSettings = TargetSettings()
    sslmode: str = "prefer"
    ca_certificates: str = ""
    portal_id: str = ""
    connect_timeout_s: int = 5
    statement_timeout_s: int = 10
    lock_timeout_s: int = 3

    def settings_as(self, kind: type[S]) -> S:
        """Return the settings, which are those of the connector's own kind."""
        if not isinstance(self.settings, kind):
            raise TypeError(f"{type(self.settings).__name__} instead of {kind.__name__}")
        return self.settings


@dataclass(frozen=True)
class GrantSpec(JsonRecord):
    """What was approved: which permission on which resource until when. `deadline` is aware.

    `server_id` is the server that was approved; empty means any. `allow_delegation`: an admin
    accepted that grantees can give others access. `reference` is the request's, for people;
    `by_agent`: an AI agent made it.
    """

    grant_id: uuid.UUID
    portal_id: str
    resource: str
    permission: str
    deadline: datetime
    connection_limit: int = 3
    server_id: str = ""
    allow_delegation: bool = False
    reference: str = ""
    by_agent: bool = False

    def __post_init__(self) -> None:
        if self.deadline.tzinfo is None:
            raise ValueError("The deadline of a grant must be an aware datetime.")

    @property
    def login(self) -> str:
        return login_of(self.grant_id)


@dataclass(frozen=True, slots=True)
class GrantIdentity(JsonRecord):
    """The account of a grant: its name, a mark that the target or the portal gave it, and its server.

    A name alone could be reused by others; all three cannot. What a mark is depends on the kind.
    """

    name: str
    mark: str
    server_id: str


@dataclass(frozen=True, slots=True)
class PermissionEntry(JsonRecord):
    """One right that a permission's role gave to others, or setting that it made. It outlives a grant.

    `key` identifies it also after a rename, `text` describes it, and `undo` is the SQL that `role` can run.
    """

    key: str
    database: str
    role: str
    kind: str
    text: str
    undo: str


@dataclass(frozen=True, slots=True)
class PermissionState(JsonRecord):
    """All such entries of one permission. Empty for targets on which grantees cannot make any.

    `roles` are the permission's role and those it is a member of. Their keys start with a colon, where those
    of entries have a database.
    """

    entries: tuple[PermissionEntry, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        return sorted([*(entry.key for entry in self.entries), *map(_role_key, self.roles)])

    def changes_since(self, before: Collection[str]) -> list[PermissionEntry]:
        """Return the entries whose keys are not in `before`.

        Objects of a role that owned some before are its own, and not listed.
        """
        owned_before = any(":object:" in key for key in before)
        known = set(before)
        return [
            entry
            for entry in self.entries
            if entry.key not in known and not (entry.kind == "object" and owned_before)
        ]

    def keys_unchanged_since(self, others: Iterable[Collection[str]]) -> list[str]:
        """Return the keys, without those of what the same roles have added since any of the other states."""
        changed = {
            change.key
            for before in map(frozenset, others)
            for change in self.changes_since(before)
            if _role_key(change.role) in before
        }
        return [key for key in self.keys if key not in changed]


def _role_key(role: str) -> str:
    return f":role:{role}"


@dataclass(frozen=True)
class Activation(JsonRecord):
    """`clock_skew` is positive if the target's clock is ahead. `valid_until` is what the target enforces.

    `permission_state` is the one before anybody could use the grant.
    """

    identity: GrantIdentity
    server_version: str
    server_time: datetime
    clock_skew: timedelta
    valid_until: datetime
    already_existed: bool
    permission_state: PermissionState = PermissionState()


@dataclass(frozen=True)
class Credential(JsonRecord):
    """Shown once to its owner and stored nowhere. With a `certificate`, `password` is its private key.

    `known_hosts` holds the server's key, for kinds whose clients compare it.
    """

    host: str
    port: int
    resource: str
    user: str
    password: str = field(repr=False)
    certificate: str = ""
    known_hosts: str = ""


@dataclass(frozen=True)
class ConnectionLine(JsonRecord):
    """A way to use a credential, ready to paste: a command or an address, without the password.

    With a `file_name`, `text` is the content of a file to save.
    """

    label: str
    text: str
    file_name: str = ""

    @property
    def parts(self) -> list[str]:
        """Return the text split before each option, where a page may wrap it."""
        return re.split(r" (?=-{1,2}[a-zA-Z])", self.text)


@dataclass(frozen=True)
class Containment(JsonRecord):
    """Nobody can use the grant any more, whatever is still to be cleaned.

    `prepared_transactions` are those the grantee left open, rolled back where possible, `remaining_memberships` those that another
    administrator granted by hand; neither lets anybody sign in.
    """

    sessions_terminated: int
    orphan_sessions_terminated: int
    prepared_transactions: tuple[str, ...] = ()
    remaining_memberships: tuple[str, ...] = ()
    was_absent: bool = False


@dataclass(frozen=True)
class OwnedObject(JsonRecord):
    """One object, right or transaction that the grantee left behind."""

    database: str
    kind: str
    name: str


@dataclass(frozen=True)
class OwnedObjects(JsonRecord):
    items: tuple[OwnedObject, ...]


@dataclass(frozen=True)
class Cleaning(JsonRecord):
    """`moved` now belongs to the graveyard role, `removed` was dropped or revoked, `rolled_back` are
    prepared transactions."""

    databases: tuple[str, ...] = ()
    moved: tuple[OwnedObject, ...] = ()
    removed: tuple[OwnedObject, ...] = ()
    rolled_back: tuple[str, ...] = ()
    was_absent: bool = False


@dataclass(frozen=True)
class Proof(JsonRecord):
    """What the target itself reports after removal. `checked_at` is by the target's clock.

    `nothing_left_behind` is None where the target cannot tell; `left_behind_note` then says what was
    looked at and what cannot be seen.
    """

    role_removed: bool
    no_open_sessions: bool
    nothing_left_behind: bool | None
    checked_at: datetime
    method: str
    details: Mapping[str, object]
    left_behind_note: str = ""

    @property
    def holds(self) -> bool:
        left_behind = self.nothing_left_behind is False
        return self.role_removed and self.no_open_sessions and not left_behind

    def as_dict(self) -> dict[str, object]:
        return {"holds": self.holds, **super().as_dict()}


@dataclass(frozen=True)
class Check(JsonRecord):
    """One check of a target. `remedy` is what its administrator can run there to fix a failed one."""

    name: str
    ok: bool
    sentence: str
    remedy: str = ""

    @classmethod
    def passed(cls, name: str, sentence: str) -> "Check":
        return cls(name=name, ok=True, sentence=sentence)

    @classmethod
    def failed(cls, name: str, sentence: str, remedy: str = "") -> "Check":
        return cls(name=name, ok=False, sentence=sentence, remedy=remedy)


@dataclass(frozen=True)
class DiscoveredPermission(JsonRecord):
    """What could be offered as a permission: a capability role, a template account.

    `refusal` says why it must not be, `delegation` how its grantees could give others access; or empty.
    """

    name: str
    resources: tuple[str, ...]
    refusal: str = ""
    delegation: str = ""


@dataclass(frozen=True)
class Inventory(JsonRecord):
    """What a target offers. `server_version` is written as people of this kind write it."""

    resources: tuple[str, ...]
    permissions: tuple[DiscoveredPermission, ...]
    server_version: str
    server_id: str


@dataclass(frozen=True)
class Right(JsonRecord):
    """What a permission allows on one object, and the role that holds the right."""

    kind: str
    name: str
    privileges: tuple[str, ...]
    via: str


@dataclass(frozen=True, slots=True)
class Membership(JsonRecord):
    """`admin`: ADMIN OPTION. `may_set`: SET OPTION, on versions where a membership can lack it."""

    name: str
    admin: bool
    may_set: bool


@dataclass(frozen=True, slots=True)
class ManagedAccount(JsonRecord):
    """An account of the portal as it is on the target. `name` is its current one.

    `grant_id`, `portal_id` and `deadline` come from its marker: None or empty if the marker is lost.
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
class AccountListing(JsonRecord):
    """The accounts of one portal, by the target's clock, with names up to `up_to`; all if None."""

    server_time: datetime
    server_id: str
    accounts: tuple[ManagedAccount, ...]
    up_to: str | None = None


class Connector(Protocol):
    """A kind of target system. Between calls, implementations hold nothing but idle connections."""

    def preflight(
        self,
        target: Target,
        permissions: Sequence[str] | None = None,
        *,
        portal_id: str | None = None,
    ) -> list[Check]:
        """Check every right the broker needs. `permissions` limits the roles that are checked,
        `portal_id` the existing logins that it must be able to drop."""

    def discover(self, target: Target) -> Inventory:
        """Return the resources and permissions the target offers."""

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        """Describe in sentences what each permission allows on the resource."""

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        """Raise TargetRefused if this permission must never be granted."""

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        """Create the grant without a credential, or adopt what an earlier attempt created."""

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        """Find what an activation created whose answer was lost; None if nothing."""

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        """Set and return a new password for the grant; an earlier one stops working."""

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        """Return how to use a credential. Calls nothing."""

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential: ...

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        """Extend active access to `spec.deadline`, never shorten it, and return what is enforced.

        `since` is the end last known to be enforced: what was disabled or shortened is not revived.
        """

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        """Keep a way into each database open, so that a target without free connections cannot delay an
        end."""

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        """Stop all use now: no new sign-ins, no open sessions."""

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        """Contain many over one connection. One failure does not stop the others."""

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Wait until `moment`, at most two seconds away, then terminate the sessions of the grants that
        have expired by the target's own clock. Returns how many were signalled for each.

        This only speeds up containment, and waits for no session. It is safe at any time.
        """

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        """List what the grantee left behind."""

    def read_permission(
        self, target: Target, permission: str, *, server_id: str = ""
    ) -> PermissionState:
        """Return what a permission's role gave to others or set. Changes nothing."""

    def undo_permission_changes(
        self,
        target: Target,
        permission: str,
        changes: Sequence[PermissionEntry],
        *,
        server_id: str = "",
    ) -> None:
        """Undo changes made through a grant. Raises TargetRefused if only a superuser can."""

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        """Move or remove what was left behind, then drop the role. Only after `contain`."""

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        """Report what is left of a grant. Changes nothing."""

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        """Prove many at once. One failure does not stop the others."""

    def list_managed_accounts(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: str = "",
        up_to: str | None = None,
    ) -> AccountListing:
        """List the accounts with this portal's marker, and those of `identities` whatever their marker.

        Pages go by name: greater than `after` and at most `up_to`. There may be thousands, so the
        answer may end earlier and say where.
        """

    def canary(
        self,
        target: Target,
        resource: str,
        permission: str,
        *,
        portal_id: str,
        allow_delegation: bool = False,
    ) -> Iterator[Check]:
        """Run a trial grant through the whole cycle, one check per step."""
