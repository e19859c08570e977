"""A connector in one file, as a package of your own would have it: accounts in a JSON file.

Copy it, replace what touches the file, and keep the contract tests green. docs/connectors.md says how a
package declares it. A real target also needs bounded waits: every call here must return within seconds.
"""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accessflows.connectors.canary import Canary, Step, trial_grant
from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.kinds import (
    ConnectorKind,
    CredentialKind,
    Keeper,
    Promise,
    Promises,
    SetUpStep,
)
from accessflows.connectors.markers import derive_mark
from accessflows.connectors.protocol import (
    AccountListing,
    Activation,
    Check,
    Cleaning,
    ConnectionLine,
    Containment,
    Credential,
    DiscoveredPermission,
    GrantIdentity,
    GrantSpec,
    Inventory,
    ManagedAccount,
    Membership,
    OwnedObjects,
    PermissionEntry,
    PermissionState,
    Proof,
    Target,
    TargetSettings,
    grant_id_of,
    setting,
)

MAX_SKEW_S = 30


@dataclass(frozen=True)
class FileSettings(TargetSettings):
    """Fields of the form, beside host, port and broker."""

    path: str = setting("File", "/etc/example/accounts.json", max_length=200)


class FileConnector:
    """The file holds {"server", "now", "permissions": [...], "accounts": {name: {...}}}."""

    def preflight(
        self,
        target: Target,
        permissions: Sequence[str] | None = None,
        *,
        portal_id: str | None = None,
    ) -> list[Check]:
        with _file(target):
            return [Check.passed("reachable", "The file can be read and written.")]

    def discover(self, target: Target) -> Inventory:
        with _file(target) as content:
            offered = [DiscoveredPermission(name, ("files",)) for name in content["permissions"]]
            return Inventory(("files",), tuple(offered), "1", content["server"])

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        return {name: [f"What {name} stands for"] for name in permissions}

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        with _file(target) as content:
            if permission not in content["permissions"]:
                raise TargetRefused(f"There is no permission {permission}. Choose another.")

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        self.check_permission(target, spec.permission)
        with _file(target) as content:
            _check_server(content, spec.server_id)
            now = _now(content)
            skew = now - datetime.now(UTC)
            if abs(skew.total_seconds()) > MAX_SKEW_S:
                raise ClockSkew("The target's clock differs from the portal's.")
            if spec.deadline <= now:
                raise TargetRefused("This grant has already expired. Make a new request.")
            existing = content["accounts"].get(spec.login)
            if existing:
                _require_ours(existing, spec.portal_id)
                if existing["contained"]:
                    raise TargetRefused("This grant was already revoked. Make a new request.")
            content["accounts"].setdefault(spec.login, _new_account(spec))
            identity = GrantIdentity(spec.login, derive_mark(spec.login), content["server"])
            return Activation(identity, "1", now, skew, spec.deadline, existing is not None)

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        with _file(target) as content:
            account = content["accounts"].get(spec.login)
            if account is None:
                return None
            _require_ours(account, spec.portal_id)
            return GrantIdentity(spec.login, derive_mark(spec.login), content["server"])

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        password = secrets.token_urlsafe(24)
        with _file(target) as content:
            _active(content, identity)["password"] = hashlib.sha256(password.encode()).hexdigest()
        return Credential(target.host, target.port, spec.resource, identity.name, password)

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential:
        return self.issue_credential(target, spec, identity)

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        return (ConnectionLine("Command", f"example --user {credential.user}"),)

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        with _file(target) as content:
            account = _active(content, identity)
            later = max(datetime.fromisoformat(account["deadline"]), spec.deadline)
            account["deadline"] = later.isoformat()
            return later

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        """A file has no connections to keep."""

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        with _file(target) as content:
            _check_server(content, identity.server_id)
            account = content["accounts"].get(identity.name)
            if account is None:
                return Containment(0, 0, was_absent=True)
            account |= {"password": "", "contained": True}
            return Containment(0, 0)

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        outcomes: dict[GrantIdentity, Containment | ConnectorError] = {}
        for identity in identities:
            try:
                outcomes[identity] = self.contain(target, identity)
            except ConnectorError as error:
                outcomes[identity] = error
        return outcomes

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        return {}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        return OwnedObjects(())

    def read_permission(
        self, target: Target, permission: str, *, server_id: str = ""
    ) -> PermissionState:
        return PermissionState()

    def undo_permission_changes(
        self,
        target: Target,
        permission: str,
        changes: Sequence[PermissionEntry],
        *,
        server_id: str = "",
    ) -> None:
        """Grantees cannot give rights to others here."""

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        with _file(target) as content:
            _check_server(content, identity.server_id)
            account = content["accounts"].get(identity.name)
            if account is None:
                return Cleaning(was_absent=True)
            if not account["contained"]:
                raise TargetRefused(f"{identity.name} is still in use. Contain the grant first.")
            del content["accounts"][identity.name]
            return Cleaning()

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        with _file(target) as content:
            _check_server(content, identity.server_id)
            return Proof(
                role_removed=identity.name not in content["accounts"],
                no_open_sessions=True,
                nothing_left_behind=None,
                checked_at=_now(content),
                method="Read from the file.",
                details={},
                left_behind_note="Not visible: files carry no owner",
            )

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        proofs: dict[GrantIdentity, Proof | ConnectorError] = {}
        for identity in identities:
            try:
                proofs[identity] = self.prove(target, identity)
            except ConnectorError as error:
                proofs[identity] = error
        return proofs

    def list_managed_accounts(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: str = "",
        up_to: str | None = None,
    ) -> AccountListing:
        expected = {one.name for one in identities}
        with _file(target) as content:
            listed = tuple(
                _managed(name, account, content["server"])
                for name, account in sorted(content["accounts"].items())
                if after < name and (up_to is None or name <= up_to)
                if account.get("portal") == portal_id or name in expected
            )
            return AccountListing(_now(content), content["server"], listed, up_to)

    def canary(
        self,
        target: Target,
        resource: str,
        permission: str,
        *,
        portal_id: str,
        allow_delegation: bool = False,
    ) -> Iterator[Check]:
        trial = trial_grant(portal_id, resource, permission, allow_delegation=allow_delegation)
        return _FileCanary(self, target, trial).run()


class _FileCanary(Canary):
    def steps(self) -> tuple[Step, ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Contain", self.contain),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )


@contextmanager
def _file(target: Target) -> Iterator[dict[str, Any]]:
    """Yield the content, locked, and write it back unless the step was refused."""
    try:
        with Path(target.settings_as(FileSettings).path).open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            content: dict[str, Any] = json.load(file)
            yield content
            file.seek(0)
            json.dump(content, file)
            file.truncate()
    except OSError:
        raise TargetUnavailable("The file can't be opened. The portal will retry.") from None


def _now(content: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(content["now"]) if content.get("now") else datetime.now(UTC)


def _new_account(spec: GrantSpec) -> dict[str, Any]:
    return {
        "portal": spec.portal_id,
        "permission": spec.permission,
        "deadline": spec.deadline.isoformat(),
        "password": "",
        "contained": False,
    }


def _check_server(content: Mapping[str, Any], expected: str) -> None:
    if expected and expected != content["server"]:
        raise TargetMismatch("This is a different file than before. Nothing was touched.")


def _require_ours(account: Mapping[str, Any], portal_id: str) -> None:
    if account.get("portal") != portal_id:
        raise TargetMismatch("An account of this name exists that the portal did not create.")


def _active(content: Mapping[str, Any], identity: GrantIdentity) -> dict[str, Any]:
    _check_server(content, identity.server_id)
    account: dict[str, Any] | None = content["accounts"].get(identity.name)
    if account is None or account["contained"]:
        raise TargetRefused("The grant has expired or was revoked. Make a new request.")
    return account


def _managed(name: str, account: Mapping[str, Any], server_id: str) -> ManagedAccount:
    deadline = datetime.fromisoformat(account["deadline"])
    return ManagedAccount(
        GrantIdentity(name, derive_mark(name), server_id),
        name,
        grant_id_of(name),
        account["portal"],
        deadline,
        deadline,
        can_login=bool(account["password"]),
        has_attributes=False,
        memberships=(Membership(account["permission"], admin=False, may_set=False),),
    )


def set_up(broker: str, password: str) -> tuple[SetUpStep, ...]:
    content = '{"server": "files-1", "permissions": ["reader"], "accounts": {}}'
    return (SetUpStep("Create the file", "On the portal's machine.", content),)


_PROMISE = Promise(Keeper.PORTAL, "Kept by the portal", "The portal does it while it runs.")

kind = ConnectorKind(
    name="example-file",
    label="Accounts file",
    summary="A template to copy",
    icon="hook",
    promises=Promises(
        CredentialKind.PASSWORD,
        "An account in the file for every grant",
        _PROMISE,
        replace(_PROMISE, keeper=Keeper.NOBODY, sentence="It keeps no sessions."),
        replace(_PROMISE, keeper=Keeper.NOBODY, sentence="Files carry no owner."),
    ),
    connector=f"{__name__}:FileConnector",
    settings=FileSettings,
    set_up=set_up,
)
