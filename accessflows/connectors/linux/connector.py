"""The connector of kind "linux": each call as one request to the host program.

An account's mark is its user ID, which the host gives to no other account for long. What the host enforces
is the end in sshd's file for the account, in the certificate and in sudo's rule; killing is the portal's.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from accessflows.connectors.base import BatchConnector
from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.linux.connection import (
    Host,
    connect_as_broker,
    refusal,
    time_of,
)
from accessflows.connectors.linux.keys import issue_key, parse_host_key
from accessflows.connectors.linux.permissions import RESOURCE, permissions_of, require_permission
from accessflows.connectors.linux.preflight import preflight
from accessflows.connectors.linux.settings import LinuxSettings
from accessflows.connectors.linux.sign_in import LinuxCanary
from accessflows.connectors.protocol import (
    AccountListing,
    Activation,
    Cleaning,
    ConnectionLine,
    Containment,
    Credential,
    GrantIdentity,
    GrantSpec,
    Inventory,
    ManagedAccount,
    Membership,
    OwnedObject,
    OwnedObjects,
    Proof,
    Target,
    grant_id_of,
)

log = structlog.get_logger(__name__)

METHOD = (
    "Read from the host: its accounts by name, and its processes by user ID, login and sudo's mark."
)
NOT_VISIBLE = "Files in shared folders were listed. Not visible: other folders, and what was done through sudo"
OTHER_GROUPS = "other groups"
MAX_WAIT_S = 2.0


class LinuxConnector(BatchConnector):
    """Holds nothing but idle connections."""

    preflight = staticmethod(preflight)
    canary_class = LinuxCanary

    def discover(self, target: Target) -> Inventory:
        with connect_as_broker(target) as host:
            permissions = tuple(one.discovered() for _, one in sorted(permissions_of(host).items()))
            version = str(host.facts["version"])[:40]
            return Inventory((RESOURCE,), permissions, version, host.server_id)

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        with connect_as_broker(target) as host:
            offered = permissions_of(host)
        return {name: offered[name].sentences() for name in permissions if name in offered}

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        with connect_as_broker(target) as host:
            require_permission(host, permission, allow_delegation=allow_delegation)

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        """Create the account, with which nobody can sign in yet, or adopt that of an earlier attempt."""
        with connect_as_broker(target) as host:
            server_id = host.check_server(spec.server_id)
            skew = host.clock_skew()
            _require_time_left(spec)
            require_permission(host, spec.permission, allow_delegation=spec.allow_delegation)
            made = host.call(
                "create",
                name=spec.login,
                portal_id=spec.portal_id,
                permission=spec.permission,
                deadline=spec.deadline.timestamp(),
            )
            identity = GrantIdentity(spec.login, str(int(made["uid"])), server_id)
            log.info("grant_activated", login=spec.login, already_existed=made["existed"])
            return Activation(
                identity,
                str(host.facts["version"])[:40],
                host.now(),
                skew,
                spec.deadline,
                already_existed=made["existed"] is True,
            )

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        with connect_as_broker(target) as host:
            server_id = host.check_server(spec.server_id)
            listed = host.call("list", portal_id=spec.portal_id, names=[spec.login])["accounts"]
            for account in listed:
                if account["name"] == spec.login:
                    if account["portal_id"] != spec.portal_id:
                        raise refusal(target, "stranger")
                    return GrantIdentity(spec.login, str(int(account["uid"])), server_id)
        return None

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        """Make a key pair and certify it. The host gets the name of the one principal it accepts."""
        return self._issue(target, spec, identity, terminate=False)

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential:
        return self._issue(target, spec, identity, terminate=terminate_sessions)

    def _issue(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate: bool
    ) -> Credential:
        host_key = parse_host_key(target.settings_as(LinuxSettings).host_key)
        principal = f"{identity.name}-{secrets.token_hex(8)}"
        with connect_as_broker(target) as host:
            host.check_server(identity.server_id)
            _require_time_left(spec)
            host.call(
                "issue",
                grants=[_grant(identity)],
                portal_id=spec.portal_id,
                principal=principal,
                terminate=terminate,
            )
        key_id = f"{spec.reference or 'trial'} {identity.name}"
        issued = issue_key(
            target.password, key_id=key_id, principal=principal, deadline=spec.deadline
        )
        log.info("credential_issued", login=identity.name)
        return Credential(
            target.host,
            target.port,
            spec.resource,
            identity.name,
            issued.private_key,
            certificate=issued.certificate,
            known_hosts=host_key.known_hosts(target.host, target.port) if host_key else "",
        )

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        user = credential.user
        port = f" -p {credential.port}" if credential.port != 22 else ""
        command = (
            f"chmod 600 {user} && ssh -i {user} -o IdentitiesOnly=yes "
            f"-o UserKnownHostsFile={user}-known_hosts{port} {user}@{credential.host}"
        )
        return (
            ConnectionLine("Command", command),
            ConnectionLine(
                f"Certificate until {spec.deadline.astimezone(UTC):%H:%M} UTC",
                credential.certificate,
                f"{user}-cert.pub",
            ),
            ConnectionLine("Host key", credential.known_hosts, f"{user}-known_hosts"),
        )

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        """Postpone the end on the host. A certificate keeps its own: the owner resets for a later one."""
        with connect_as_broker(target) as host:
            host.check_server(identity.server_id)
            _require_time_left(spec)
            extended = host.call(
                "extend",
                grants=[_grant(identity)],
                portal_id=spec.portal_id,
                deadline=spec.deadline.timestamp(),
                since=since.timestamp() if since else None,
            )
            return time_of(extended["deadline"])

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        with connect_as_broker(target):
            return

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        """Take sign-in and kill every process, for all at once. Repeatable."""
        with connect_as_broker(target) as host:
            outcomes: dict[GrantIdentity, Containment | ConnectorError] = {}
            outcomes.update(_refused(host, identities))
            ours = [one for one in dict.fromkeys(identities) if one not in outcomes]
            answers = _contain(host, ours)
        for one in ours:
            outcomes[one] = _containment(target, one, answers.get(one.name))
        log.info("grants_contained", count=len(ours), refused=len(outcomes) - len(ours))
        return outcomes

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Contain what has expired by the host's clock and its own record: sshd lets sessions go on."""
        with connect_as_broker(target) as host:
            refused = _refused(host, identities)
            ours = [one for one in dict.fromkeys(identities) if one not in refused]
            left_s = (moment - datetime.now(UTC)).total_seconds()
            time.sleep(min(max(left_s, 0), MAX_WAIT_S))
            answers = _contain(host, ours, only_expired=True)
        numbers = {one: int(answers.get(one.name, {}).get("sessions", 0)) for one in ours}
        return {one: number for one, number in numbers.items() if number}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        with connect_as_broker(target) as host:
            host.check_server(identity.server_id)
            portal_id = target.portal_id
            items = host.call("leftovers", grants=[_grant(identity)], portal_id=portal_id)["items"]
            objects = [OwnedObject(RESOURCE, str(kind), str(name)) for kind, name in items]
        return OwnedObjects(tuple(objects))

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        """Remove the account and its home. What it owns elsewhere stays, as listed."""
        with connect_as_broker(target) as host:
            host.check_server(identity.server_id)
            grants = [_grant(identity)]
            deleted = host.call("delete", grants=grants, portal_id=target.portal_id)
        log.info("grant_cleaned", login=identity.name)
        return Cleaning(was_absent=deleted.get("absent") is True)

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        with connect_as_broker(target) as host:
            proofs: dict[GrantIdentity, Proof | ConnectorError] = {}
            proofs.update(_refused(host, identities))
            ours = [one for one in dict.fromkeys(identities) if one not in proofs]
            if ours:
                answer = host.call("prove", grants=[_grant(one) for one in ours])
                checked_at, accounts = time_of(answer["now"]), answer["accounts"]
                for one in ours:
                    proofs[one] = _proof(one, accounts[one.name], checked_at)
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
        """The host lists all accounts in one answer; the page of it is returned."""
        names = [one.name for one in identities if grant_id_of(one.name)]
        with connect_as_broker(target) as host:
            answer = host.call("list", portal_id=portal_id, names=names)
            listed = tuple(
                _managed(account, host.server_id)
                for account in answer["accounts"]
                if after < account["name"] and (up_to is None or account["name"] <= up_to)
            )
            return AccountListing(time_of(answer["now"]), host.server_id, listed, up_to)


def _require_time_left(spec: GrantSpec) -> None:
    if spec.deadline <= datetime.now(UTC):
        raise TargetRefused("This grant has already expired. Make a new request.")


def _grant(identity: GrantIdentity) -> list[object]:
    """Return an account as the host program names it. Raises TargetRefused if it can't be a grant's."""
    if grant_id_of(identity.name) is None or not identity.mark.isdecimal():
        raise TargetRefused(f"{identity.name} is not the name of a grant's account.")
    return [identity.name, int(identity.mark)]


def _refused(
    host: Host, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, ConnectorError]:
    """Return why the host is not asked about some of these accounts."""
    refused: dict[GrantIdentity, ConnectorError] = {}
    for one in identities:
        try:
            host.check_server(one.server_id)
            _grant(one)
        except (TargetMismatch, TargetRefused) as error:
            refused[one] = error
    return refused


def _contain(
    host: Host, identities: Sequence[GrantIdentity], *, only_expired: bool = False
) -> dict[str, Any]:
    if not identities:
        return {}
    grants = [_grant(one) for one in identities]
    portal_id = host.target.portal_id
    answer = host.call("contain", grants=grants, portal_id=portal_id, only_expired=only_expired)
    return dict(answer["outcomes"])


def _containment(
    target: Target, identity: GrantIdentity, outcome: dict[str, Any] | None
) -> Containment | ConnectorError:
    """Return what the host says of one account. What it does not confirm did not happen."""
    if not isinstance(outcome, dict) or "code" in outcome:
        return refusal(target, str((outcome or {}).get("code")))
    if outcome.get("left") != 0:
        return TargetUnavailable(
            f"{identity.name} can't sign in anymore; some of its processes are still running. The portal "
            "will retry."
        )
    return Containment(int(outcome["sessions"]), 0, was_absent=outcome.get("absent") is True)


def _proof(identity: GrantIdentity, account: dict[str, Any], checked_at: datetime) -> Proof:
    return Proof(
        role_removed=account["exists"] is False and account["keys"] is False,
        no_open_sessions=account["processes"] == 0,
        nothing_left_behind=None,
        checked_at=checked_at,
        method=METHOD,
        details={
            "account": identity.name,
            "user_id": identity.mark,
            "host": identity.server_id,
            "processes": int(account["processes"]),
        },
        left_behind_note=NOT_VISIBLE,
    )


def _managed(account: dict[str, Any], server_id: str) -> ManagedAccount:
    name, portal_id = str(account["name"]), str(account["portal_id"])
    deadline = None if account["deadline"] is None else time_of(account["deadline"])
    given = [str(account["permission"])] if account["permission"] else []
    if given and account["as_made"] is not True:
        given.append(OTHER_GROUPS)
    return ManagedAccount(
        GrantIdentity(name, str(int(account["uid"])), server_id),
        name,
        grant_id_of(name) if portal_id else None,
        portal_id,
        deadline,
        deadline,
        account["can_login"] is True,
        has_attributes=False,
        memberships=tuple(Membership(one, admin=False, may_set=False) for one in given),
    )
