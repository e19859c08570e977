"""The connector of kind "valkey": each call as a few ACL commands, saved in the same step.

A saved account outlives a restart, so does a deletion; what was not saved would be undone by one.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog

from accessflows.connectors.base import BatchConnector
from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.markers import derive_mark
from accessflows.connectors.protocol import (
    AccountListing,
    Activation,
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
    Proof,
    Target,
    grant_id_of,
)
from accessflows.connectors.tls import is_encrypted
from accessflows.connectors.valkey import preflight
from accessflows.connectors.valkey.canary import ValkeyCanary
from accessflows.connectors.valkey.connection import Broker, connect_as_broker
from accessflows.connectors.valkey.names import (
    CONTAINED,
    Account,
    Marker,
    check_name,
    digest_of,
)
from accessflows.connectors.valkey.permissions import describe_rules, permission_refusal

log = structlog.get_logger(__name__)

RESOURCE = "keys"
METHOD = "Read from the target: ACL LIST by name, and CLIENT LIST by account."
NOT_VISIBLE = "Not visible: keys carry no owner, so what was written stays and can't be listed"
OTHER_RULES = "other rules"
PASSWORD_BYTES = 24
MAX_WAIT_S = 2.0
PAUSE_S = 0.02
REVOKED = "The grant has expired or was revoked. Make a new request."

Accounts = dict[str, Account]


class ValkeyConnector(BatchConnector):
    """Holds nothing but idle connections."""

    preflight = staticmethod(preflight.preflight)
    canary_class = ValkeyCanary

    def discover(self, target: Target) -> Inventory:
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
            templates = [one for one in accounts.values() if one.is_template]
            permissions = tuple(
                DiscoveredPermission(one.name, (RESOURCE,), permission_refusal(broker, one))
                for one in sorted(templates, key=lambda one: one.name)
            )
            server_id = broker.check_server(accounts, "")
            return Inventory((RESOURCE,), permissions, broker.version(), server_id)

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
        return {
            name: describe_rules(accounts[name].rules) for name in permissions if name in accounts
        }

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        with connect_as_broker(target) as broker:
            _template(broker, broker.accounts(), permission)

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        """Create the account, off and without a password, or adopt what an earlier attempt created."""
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
            server_id = broker.check_server(accounts, spec.server_id)
            skew = broker.clock_skew()
            _require_time_left(spec)
            template = _template(broker, accounts, spec.permission)
            existing = accounts.get(spec.login)
            if existing is not None:
                _require_adoptable(existing, spec)
                broker.run("ACL", "SAVE")
            else:
                marker = Marker.of(spec, template.rules).selector()
                _set_and_save(broker, spec.login, ("reset", "off", *template.rules, marker))
            _require_as_made(broker, spec)
            log.info("grant_activated", login=spec.login, already_existed=existing is not None)
            return Activation(
                GrantIdentity(spec.login, derive_mark(spec.login), server_id),
                broker.version(),
                broker.now(),
                skew,
                spec.deadline,
                already_existed=existing is not None,
            )

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
            server_id = broker.check_server(accounts, spec.server_id)
        account = accounts.get(spec.login)
        if account is None:
            return None
        _require_marker(account, spec)
        return GrantIdentity(spec.login, derive_mark(spec.login), server_id)

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        """Set a new password. The server gets its hash, which keeps it out of logs and MONITOR."""
        with connect_as_broker(target) as broker:
            return _set_password(broker, spec, identity)

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential:
        with connect_as_broker(target) as broker:
            credential = _set_password(broker, spec, identity)
            if terminate_sessions:
                broker.run("CLIENT", "KILL", "USER", identity.name)
        return credential

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        tls = " --tls" if is_encrypted(target) else ""
        where = f"-h {credential.host} -p {credential.port}"
        command = f"valkey-cli {where} --user {credential.user} --askpass{tls}"
        return (ConnectionLine("Command", command),)

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        """Write the later end into the marker, from which the portal ends it on time."""
        with connect_as_broker(target) as broker:
            _require_time_left(spec)
            account = _active(broker, identity)
            marker = account.marker
            if marker is None or (since is not None and marker.deadline < since):
                raise TargetRefused("The marker of this account was changed on the target by hand.")
            if marker.deadline < spec.deadline:
                later = replace(marker, deadline=spec.deadline).selector()
                others = [rule for rule in account.rules if rule.startswith("(")]
                _set_and_save(broker, identity.name, ("clearselectors", *others, later))
            enforced = _active(broker, identity).marker
        if enforced is None:
            raise TargetRefused(REVOKED)
        return enforced.deadline

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        with connect_as_broker(target):
            return

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        """Take sign-in and rights, terminate sessions until none is left, and save. Repeatable.

        Saving comes last: a disk that is full must not keep a session open.
        """
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
            refused = _mismatches(broker, accounts, identities)
            ours = [one for one in dict.fromkeys(identities) if one not in refused]
            present = [one for one in ours if one.name in accounts]
            sessions = broker.sessions_of([one.name for one in present])
            if present:
                _disable(broker, accounts, present)
            left = _terminate(broker, [one.name for one in present])
            broker.run("ACL", "SAVE")
        log.info("grants_contained", count=len(ours), failed=len(refused) + len(left))
        outcomes: dict[GrantIdentity, Containment | ConnectorError] = {**refused}
        for one in ours:
            if left.get(one.name):
                outcomes[one] = TargetUnavailable(
                    f"{left[one.name]} session(s) of {one.name} were terminated and are still open. "
                    "The portal will retry."
                )
            else:
                outcomes[one] = Containment(
                    sessions.get(one.name, 0), 0, was_absent=one.name not in accounts
                )
        return outcomes

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Disable what has expired by its marker and the server's clock: nothing else ends it here."""
        with connect_as_broker(target) as broker:
            left_s = (moment - datetime.now(UTC)).total_seconds()
            time.sleep(min(max(left_s, 0), MAX_WAIT_S))
            now, accounts = broker.now(), broker.accounts()
            due = [
                one
                for one in identities
                if (account := accounts.get(one.name)) is not None
                and account.marker is not None
                and account.marker.mark == one.mark
                and account.marker.deadline <= now
            ]
            refused = _mismatches(broker, accounts, due)
            due = [one for one in due if one not in refused]
            sessions = broker.sessions_of([one.name for one in due])
            if due:
                _disable(broker, accounts, due)
                _terminate(broker, [one.name for one in due])
                broker.run("ACL", "SAVE")
        return {one: sessions[one.name] for one in due if sessions[one.name]}

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        """Delete the account, which also ends sessions that would still be open."""
        with connect_as_broker(target) as broker:
            accounts = broker.accounts()
            for mismatch in _mismatches(broker, accounts, [identity]).values():
                raise mismatch
            account = accounts.get(identity.name)
            if account is None:
                broker.run("ACL", "SAVE")
                return Cleaning(was_absent=True)
            if account.marker is None:
                raise TargetMismatch(
                    f"The account {identity.name} no longer has the portal's marker. It is disabled and "
                    "was not deleted. Delete it by hand if it is not needed."
                )
            if account.can_login or account.has_rights:
                raise TargetRefused(f"{identity.name} is still in use. Contain the grant first.")
            broker.run("ACL", "DELUSER", identity.name)
            broker.run("ACL", "SAVE")
        log.info("grant_cleaned", login=identity.name)
        return Cleaning()

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        with connect_as_broker(target) as broker:
            accounts, now = broker.accounts(), broker.now()
            sessions = broker.sessions_of([one.name for one in identities])
            server_id = broker.check_server(accounts, "")
            others = {one: _other_server(broker, accounts, one) for one in identities}
        return {
            one: others[one]
            or Proof(
                role_removed=one.name not in accounts,
                no_open_sessions=not sessions[one.name],
                nothing_left_behind=None,
                checked_at=now,
                method=METHOD,
                details={
                    "account": one.name,
                    "server": server_id,
                    "sessions": sessions[one.name],
                },
                left_behind_note=NOT_VISIBLE,
            )
            for one in identities
        }

    def list_managed_accounts(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: str = "",
        up_to: str | None = None,
    ) -> AccountListing:
        """The server lists all accounts in one answer; the page of it is returned."""
        with connect_as_broker(target) as broker:
            accounts, now = broker.accounts(), broker.now()
            server_id = broker.check_server(accounts, "")
        expected = {one.name for one in identities}
        listed = tuple(
            _managed(account, server_id)
            for name, account in sorted(accounts.items())
            if after < name and (up_to is None or name <= up_to)
            if (account.marker and account.marker.portal_id == portal_id) or name in expected
        )
        return AccountListing(now, server_id, listed, up_to)


def _template(broker: Broker, accounts: Accounts, permission: str) -> Account:
    """Return the account whose rules are the permission. Raises TargetRefused."""
    template = accounts.get(check_name(permission, "permission"))
    if template is None or not template.is_template:
        raise TargetRefused(
            f"The target has no account {permission} that is off and without a password. Choose another."
        )
    if refusal := permission_refusal(broker, template):
        raise TargetRefused(refusal)
    return template


def _require_time_left(spec: GrantSpec) -> None:
    if spec.deadline <= datetime.now(UTC):
        raise TargetRefused("This grant has already expired. Make a new request.")


def _require_marker(account: Account, spec: GrantSpec) -> Marker:
    marker = account.marker
    if marker is None or (marker.portal_id, marker.mark) != (
        spec.portal_id,
        derive_mark(spec.login),
    ):
        raise TargetMismatch(
            f"An account named {spec.login} exists but was not created for this grant. "
            "It was not touched. Find out who created it and delete it."
        )
    return marker


def _require_adoptable(account: Account, spec: GrantSpec) -> None:
    """An account of an earlier attempt expires no later than approved now, and is not revived."""
    marker = _require_marker(account, spec)
    if not account.has_rights or marker.deadline <= datetime.now(UTC):
        raise TargetRefused("This grant was already revoked on the target. Make a new request.")
    if marker.deadline > spec.deadline:  # by a worker suspended meanwhile
        raise TargetRefused("This grant was activated and extended meanwhile. Nothing was changed.")


def _require_as_made(broker: Broker, spec: GrantSpec) -> None:
    account = broker.accounts().get(spec.login)
    marker = _require_marker(account, spec) if account else None
    if account is None or marker is None or digest_of(account.rules) != marker.rules:
        raise TargetMismatch(f"{spec.login} was changed by hand. Revoke this grant.")


def _set_and_save(broker: Broker, name: str, rules: Sequence[str]) -> None:
    broker.run("ACL", "SETUSER", name, *rules)
    broker.run("ACL", "SAVE")


def _active(broker: Broker, identity: GrantIdentity) -> Account:
    """Return the account of a grant that was neither contained nor changed by others."""
    accounts = broker.accounts()
    for mismatch in _mismatches(broker, accounts, [identity]).values():
        raise mismatch
    account = accounts.get(identity.name)
    if account is None or not account.has_rights or account.marker is None:
        raise TargetRefused(REVOKED)
    return account


def _set_password(broker: Broker, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    _require_time_left(spec)
    _active(broker, identity)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    digest = hashlib.sha256(password.encode()).hexdigest()
    _set_and_save(broker, identity.name, ("resetpass", f"#{digest}", "on"))
    try:
        account = _active(broker, identity)
    except ConnectorError:  # contained or deleted meanwhile: nothing of it may stay
        _set_and_save(broker, identity.name, ("reset",))
        raise
    if account.marker and account.marker.deadline <= broker.now():
        raise TargetRefused(REVOKED)
    log.info("credential_issued", login=identity.name)
    target = broker.target
    return Credential(target.host, target.port, spec.resource, identity.name, password)


def _other_server(
    broker: Broker, accounts: Accounts, identity: GrantIdentity
) -> TargetMismatch | None:
    try:
        broker.check_server(accounts, identity.server_id)
    except TargetMismatch as mismatch:
        return mismatch
    return None


def _mismatches(
    broker: Broker, accounts: Accounts, identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, ConnectorError]:
    """Return why accounts must not be touched. One without any marker is the grant's: it was created
    under this name, on this server."""
    mismatches: dict[GrantIdentity, ConnectorError] = {}
    for one in identities:
        account = accounts.get(one.name)
        marker = account.marker if account else None
        if grant_id_of(one.name) is None:
            mismatches[one] = TargetRefused(f"{one.name} is not the name of a grant's account.")
        elif mismatch := _other_server(broker, accounts, one):
            mismatches[one] = mismatch
        elif marker and (
            marker.mark != one.mark
            or marker.portal_id != (broker.target.portal_id or marker.portal_id)
        ):
            mismatches[one] = TargetMismatch(
                f"The account {one.name} belongs to the portal {marker.portal_id}. It was not touched."
            )
    return mismatches


def _disable(broker: Broker, accounts: Accounts, identities: Sequence[GrantIdentity]) -> None:
    """Take sign-in, password and all rights at once; open sessions lose them with the next command."""
    for one in identities:
        marker = accounts[one.name].marker
        ended = [replace(marker, deadline=CONTAINED, rules="").selector()] if marker else []
        broker.run("ACL", "SETUSER", one.name, "reset", "off", *ended)


def _terminate(broker: Broker, names: Sequence[str]) -> dict[str, int]:
    """Terminate sessions until none is left, and return how many still are."""
    give_up_at = time.monotonic() + MAX_WAIT_S
    left = {name: number for name, number in broker.sessions_of(names).items() if number}
    while left and time.monotonic() < give_up_at:
        accounts = broker.accounts()
        for name in left:
            if name in accounts:
                broker.run("CLIENT", "KILL", "USER", name)
        left = {name: number for name, number in broker.sessions_of(names).items() if number}
        if left:
            time.sleep(PAUSE_S)
    return left


def _managed(account: Account, server_id: str) -> ManagedAccount:
    marker = account.marker
    given: tuple[Membership, ...] = ()
    if marker and account.has_rights:
        is_as_made = digest_of(account.rules) == marker.rules
        given = (
            Membership(marker.permission, admin=False, may_set=False),
            *([] if is_as_made else [Membership(OTHER_RULES, admin=False, may_set=False)]),
        )
    return ManagedAccount(
        GrantIdentity(
            account.name, marker.mark if marker else derive_mark(account.name), server_id
        ),
        account.name,
        grant_id_of(account.name) if marker else None,
        marker.portal_id if marker else "",
        marker.deadline if marker else None,
        marker.deadline if marker else None,
        account.can_login,
        has_attributes=False,
        memberships=given,
    )
