"""The connector of kind "mariadb".

Accounts and roles are changed by statements that commit by themselves, and a killed session ends a little
later. So every step is read back, and a row in the marker table says first what an account is for.
"""

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pymysql
import structlog

from accessflows.connectors.base import BatchConnector
from accessflows.connectors.errors import (
    ConnectorError,
    TargetMismatch,
    TargetRefused,
    TargetUnavailable,
)
from accessflows.connectors.mariadb import leftovers, preflight
from accessflows.connectors.mariadb.accounts import (
    HOST,
    Account,
    mismatches,
    other_server,
    read_account,
    read_accounts,
    require_marker,
)
from accessflows.connectors.mariadb.canary import MariaDBCanary
from accessflows.connectors.mariadb.connection import (
    CONNECTION_LOST,
    EXISTS_OR_MISSING,
    Broker,
    code_of,
    connect,
    connect_as_broker,
    placeholders,
)
from accessflows.connectors.mariadb.permissions import (
    RoleRights,
    discovered_permissions,
    permission_refusal,
)
from accessflows.connectors.mariadb.setup_commands import native_hash
from accessflows.connectors.markers import derive_mark
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
    OwnedObjects,
    Proof,
    Target,
    grant_id_of,
)
from accessflows.connectors.tls import is_encrypted

log = structlog.get_logger(__name__)

METHOD = (
    "Read from the target: mysql.global_priv by name, PROCESSLIST by login, and mysql.proc and mysql.event "
    "by definer."
)
PASSWORD_BYTES = 24
BATCH_SIZE = 200
MAX_WAIT_S = 2.0
PAUSE_S = 0.02
REVOKED = "The grant has expired or was revoked. Make a new request."

_GRANT = "GRANT {role} TO %s@%s"
_REVOKE = "REVOKE {role} FROM %s@%s"
_DEFAULT_ROLE = "SET DEFAULT ROLE {role}"
_REMEMBER = "INSERT IGNORE INTO apono_portal.grants (login, portal_id, mark, deadline) VALUES (%s, %s, %s, %s)"
_EXTEND = "UPDATE apono_portal.grants SET deadline = %s WHERE login = %s AND NOT is_contained"
_CONTAIN = "UPDATE apono_portal.grants SET is_contained = TRUE WHERE login IN ({names})"
_FORGET = "DELETE FROM apono_portal.grants WHERE login = %s"
_LISTED = (
    "SELECT p.User AS name FROM mysql.global_priv p LEFT JOIN apono_portal.grants m ON m.login = p.User"
    " WHERE p.Host = '%%' AND p.User > %s AND (m.portal_id = %s{expected})"
    "{up_to} ORDER BY p.User LIMIT %s"
)

Outcome = Containment | ConnectorError


class MariaDBConnector(BatchConnector):
    """Holds nothing but idle connections."""

    preflight = staticmethod(preflight.preflight)
    canary_class = MariaDBCanary

    def discover(self, target: Target) -> Inventory:
        with connect_as_broker(target) as broker:
            broker.check_server("")
            permissions = discovered_permissions(broker)
            resources = sorted({name for one in permissions for name in one.resources})
            version = broker.version.split("-")[0]
            return Inventory(tuple(resources), permissions, version, broker.server_id)

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        with connect_as_broker(target) as broker:
            return {name: RoleRights(broker, name).sentences(resource) for name in permissions}

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        with connect_as_broker(target) as broker:
            _require_permission(broker, permission, allow_delegation=allow_delegation)

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        """Create the account, locked, or adopt what an earlier attempt created."""
        with connect_as_broker(target) as broker:
            broker.check_server(spec.server_id)
            broker.check_clock()
            _require_time_left(spec)
            _require_permission(broker, spec.permission, allow_delegation=spec.allow_delegation)
            account = read_account(broker, spec.login)
            if account.exists or account.marker:
                _require_adoptable(account, spec)
            else:
                _insert_marker(broker, spec)
            if not account.exists:
                _create(broker, spec)
            broker.run(_about(_GRANT, spec.permission), (spec.login, HOST))
            _require_as_made(read_account(broker, spec.login), spec)
            log.info("grant_activated", login=spec.login, already_existed=account.exists)
            return Activation(
                GrantIdentity(spec.login, derive_mark(spec.login), broker.server_id),
                broker.version.split("-")[0],
                broker.server_time,
                broker.clock_skew,
                spec.deadline,
                already_existed=account.exists,
            )

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        with connect_as_broker(target) as broker:
            broker.check_server(spec.server_id)
            account = read_account(broker, spec.login)
            if not account.exists and account.marker is None:
                return None
            require_marker(account, spec)
            return GrantIdentity(spec.login, derive_mark(spec.login), broker.server_id)

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        """Set a new password and unlock the account; its owner's sessions have the role from the start."""
        with connect_as_broker(target) as broker:
            return _set_password(broker, spec, identity)

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential:
        with connect_as_broker(target) as broker:
            credential = _set_password(broker, spec, identity)
            if terminate_sessions and (left := _kill(broker, [identity.name])):
                raise _still_open(identity.name, left[identity.name])
        return credential

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        tls = " --ssl" if is_encrypted(target) else ""
        where = f"-h {credential.host} -P {credential.port} --protocol=tcp"
        command = f"mariadb {where} -u {credential.user} -p{tls} {_shell(credential.resource)}"
        return (ConnectionLine("Command", command),)

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        """Write the later end beside the account, from where the portal ends it on time."""
        with connect_as_broker(target) as broker:
            _require_time_left(spec)
            marker = _active(broker, identity).marker
            if marker is None or (since is not None and marker.deadline < since):
                raise TargetRefused("The end of this account was changed on the target by hand.")
            if marker.deadline < spec.deadline:
                broker.run(
                    _EXTEND,
                    (spec.deadline.isoformat(), identity.name),
                )
            enforced = _active(broker, identity).marker
        if enforced is None:
            raise TargetRefused(REVOKED)
        return enforced.deadline

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        with connect_as_broker(target):
            return

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Outcome]:
        with connect_as_broker(target) as broker:
            unique = list(dict.fromkeys(identities))
            accounts = read_accounts(broker, [one.name for one in unique])
            refused = mismatches(broker, accounts, unique)
            ours = [one for one in unique if one not in refused]
            sessions, left = _contain(broker, [accounts[one.name] for one in ours])
            after = read_accounts(broker, [one.name for one in ours])
        log.info("grants_contained", count=len(ours), failed=len(refused) + len(left))
        outcomes: dict[GrantIdentity, Outcome] = {**refused}
        for one in ours:
            outcomes[one] = _outcome(after[one.name], sessions[one.name], left.get(one.name, 0))
        return outcomes

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Contain what has expired by its marker and the server's clock: nothing else ends it here."""
        with connect_as_broker(target) as broker:
            left_s = (moment - datetime.now(UTC)).total_seconds()
            time.sleep(min(max(left_s, 0), MAX_WAIT_S))
            now = broker.rows("SELECT UTC_TIMESTAMP(6) AS now")[0]["now"].replace(tzinfo=UTC)
            accounts = read_accounts(broker, [one.name for one in identities])
            due = [
                one
                for one in identities
                if (marker := accounts[one.name].marker) and marker.deadline <= now
            ]
            refused = mismatches(broker, accounts, due)
            due = [one for one in due if one not in refused]
            sessions, _ = _contain(broker, [accounts[one.name] for one in due])
        return {one: sessions[one.name] for one in due if sessions[one.name]}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        with connect_as_broker(target) as broker:
            broker.check_server(identity.server_id)
            return OwnedObjects(tuple(leftovers.objects_defined_by(broker, identity.name)))

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        """Drop the account. What names it as definer stays, and can't run without it."""
        with connect_as_broker(target) as broker:
            account = read_account(broker, identity.name)
            for error in mismatches(broker, {identity.name: account}, [identity]).values():
                raise error
            if account.exists:
                _require_contained(broker, account)
                broker.run("DROP USER IF EXISTS %s@%s", (identity.name, HOST))
            broker.run(_FORGET, (identity.name,))
        log.info("grant_cleaned", login=identity.name)
        return Cleaning(was_absent=not account.exists)

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        with connect_as_broker(target) as broker:
            names = [one.name for one in identities]
            accounts, sessions = read_accounts(broker, names), broker.sessions_of(names)
            proofs: dict[GrantIdentity, Proof | ConnectorError] = {}
            for one in identities:
                proofs[one] = other_server(broker, one) or _proof(
                    broker, accounts[one.name], sessions[one.name]
                )
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
        expected = [one.name for one in identities]
        query = _LISTED.format(
            expected=f" OR p.User IN ({placeholders(expected)})" if expected else "",
            up_to=" AND p.User <= %s" if up_to is not None else "",
        )
        values = [after, portal_id, *expected, *([] if up_to is None else [up_to]), BATCH_SIZE]
        with connect_as_broker(target) as broker:
            names = [str(row["name"]) for row in broker.rows(query, values)]
            accounts = read_accounts(broker, names)
            listed = tuple(_managed(accounts[name], broker.server_id) for name in names)
            last = names[-1] if len(names) == BATCH_SIZE else up_to
            return AccountListing(broker.server_time, broker.server_id, listed, last)


def _require_permission(broker: Broker, permission: str, *, allow_delegation: bool) -> None:
    if refusal := permission_refusal(broker, permission, allow_delegation=allow_delegation):
        raise TargetRefused(refusal)


def _require_time_left(spec: GrantSpec) -> None:
    if spec.deadline <= datetime.now(UTC):
        raise TargetRefused("This grant has already expired. Make a new request.")


def _require_adoptable(account: Account, spec: GrantSpec) -> None:
    """An account of an earlier attempt is neither revived nor extended."""
    marker = require_marker(account, spec)
    if marker.is_contained or marker.deadline <= datetime.now(UTC):
        raise TargetRefused("This grant was already revoked on the target. Make a new request.")
    if marker.deadline > spec.deadline:  # by a worker suspended meanwhile
        raise TargetRefused("This grant was activated and extended meanwhile. Nothing was changed.")


def _insert_marker(broker: Broker, spec: GrantSpec) -> None:
    broker.run(
        _REMEMBER,
        (spec.login, spec.portal_id, derive_mark(spec.login), spec.deadline.isoformat()),
    )


def _create(broker: Broker, spec: GrantSpec) -> None:
    """Create it locked, with a password nobody knows. Another worker may have done so meanwhile."""
    statement = "CREATE USER %s@%s IDENTIFIED VIA mysql_native_password USING %s"
    statement += f" WITH MAX_USER_CONNECTIONS {int(spec.connection_limit)} ACCOUNT LOCK"
    try:
        broker.run(
            statement, (spec.login, HOST, native_hash(secrets.token_urlsafe(PASSWORD_BYTES)))
        )
    except pymysql.MySQLError as error:
        if code_of(error) != EXISTS_OR_MISSING:
            raise


def _require_as_made(account: Account, spec: GrantSpec) -> None:
    marker = require_marker(account, spec)
    if marker.is_contained:
        raise TargetRefused("This grant was already revoked on the target. Make a new request.")
    names = [membership.name for membership in account.memberships if not membership.admin]
    if names != [spec.permission] or account.has_global_rights or not account.exists:
        raise TargetMismatch(f"{spec.login} was changed by hand. Revoke this grant.")


def _active(broker: Broker, identity: GrantIdentity) -> Account:
    """Return the account of a grant that was neither contained nor dropped."""
    account = read_account(broker, identity.name)
    for error in mismatches(broker, {identity.name: account}, [identity]).values():
        raise error
    marker = account.marker
    if not account.exists or marker is None or marker.is_contained:
        raise TargetRefused(REVOKED)
    return account


def _set_password(broker: Broker, spec: GrantSpec, identity: GrantIdentity) -> Credential:
    """Set a password, then see that the grant was not contained meanwhile: else lock it again."""
    _require_time_left(spec)
    _active(broker, identity)
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    statement = "ALTER USER %s@%s IDENTIFIED VIA mysql_native_password USING %s ACCOUNT UNLOCK"
    broker.run(statement, (identity.name, HOST, native_hash(password)))
    target = broker.target
    try:
        marker = _active(broker, identity).marker
        if marker is None or marker.deadline <= datetime.now(UTC):
            raise TargetRefused(REVOKED)
        _make_role_default(target, spec, identity, password)
        _active(broker, identity)
    except ConnectorError:
        broker.run("ALTER USER IF EXISTS %s@%s ACCOUNT LOCK", (identity.name, HOST))
        _kill(broker, [identity.name])
        raise
    log.info("credential_issued", login=identity.name)
    return Credential(target.host, target.port, spec.resource, identity.name, password)


def _make_role_default(
    target: Target, spec: GrantSpec, identity: GrantIdentity, password: str
) -> None:
    """Sign in as the grantee and make the role its default, which only it may do without other rights."""
    try:
        as_grantee = replace(target, user=identity.name, password=password)
        with connect(as_grantee) as session, session.cursor() as cursor:
            cursor.execute(_about(_DEFAULT_ROLE, spec.permission))
    except pymysql.MySQLError as error:
        raise TargetRefused(
            f"The new login can't sign in or use {spec.permission} (error {code_of(error)}). Try again; "
            "if that fails, run a canary."
        ) from None


def _contain(broker: Broker, accounts: Sequence[Account]) -> tuple[dict[str, int], dict[str, int]]:
    """Mark, lock, kill and revoke. Return the sessions there were, and those that are still open.

    A step that fails stops none of the next; whether an account is locked is read back. A grant that could
    not be marked as contained is not: a suspended worker could still reveal it.
    """
    names = [account.name for account in accounts]
    if not names:
        return {}, {}
    sessions = broker.sessions_of(names)
    failure = _attempt(broker, _CONTAIN.format(names=placeholders(names)), names)
    for account in accounts:
        for host in account.hosts:
            _attempt(broker, "ALTER USER IF EXISTS %s@%s ACCOUNT LOCK", (account.name, host))
    left = _kill(broker, names)
    for account in accounts:
        for membership in account.memberships:
            _attempt(broker, _about(_REVOKE, membership.name), (account.name, HOST))
    if failure is not None:
        raise failure
    return sessions, left


def _attempt(broker: Broker, statement: str, values: Sequence[object]) -> pymysql.MySQLError | None:
    """Run a statement, and return why it failed unless the connection is lost."""
    try:
        broker.run(statement, values)
    except pymysql.MySQLError as error:
        if code_of(error) in CONNECTION_LOST:
            raise
        log.warning("step_failed", statement=statement.split(" ", 2)[:2], error=code_of(error))
        return error
    return None


def _kill(broker: Broker, names: Sequence[str]) -> dict[str, int]:
    """Kill sessions until the server lists none, and return how many are left of each login."""
    give_up_at = time.monotonic() + MAX_WAIT_S
    while left := {name: number for name, number in broker.sessions_of(names).items() if number}:
        if time.monotonic() > give_up_at:
            break
        for name in left:
            broker.run("KILL HARD USER %s", (name,))
        time.sleep(PAUSE_S)
    return left


def _still_open(name: str, number: int) -> TargetUnavailable:
    return TargetUnavailable(
        f"{number} session(s) of {name} were killed and are still listed. The portal will retry."
    )


def _outcome(account: Account, sessions: int, left: int) -> Outcome:
    if left:
        return _still_open(account.name, left)
    if not account.is_locked:
        return TargetUnavailable(f"{account.name} is not locked yet. The portal will retry.")
    terminated, orphans = (sessions, 0) if account.exists else (0, sessions)
    remaining = tuple(membership.name for membership in account.memberships)
    return Containment(terminated, orphans, (), remaining, was_absent=not account.exists)


def _require_contained(broker: Broker, account: Account) -> None:
    if account.marker is None or any(host != HOST for host in account.hosts):
        raise TargetMismatch(
            f"The account {account.name} is not as the portal made it. It is locked and was not dropped. "
            "Drop it by hand if it is not needed."
        )
    if (
        not (account.is_locked and account.marker.is_contained)
        or (broker.sessions_of([account.name])[account.name])
    ):
        raise TargetRefused(f"{account.name} is still in use. Contain the grant first.")


def _proof(broker: Broker, account: Account, sessions: int) -> Proof:
    left = list(leftovers.objects_defined_by(broker, account.name))
    return Proof(
        role_removed=not account.exists,
        no_open_sessions=not sessions,
        nothing_left_behind=None,
        checked_at=broker.server_time,
        method=METHOD,
        details={
            "account": account.name,
            "server": broker.server_id,
            "sessions": sessions,
            "definer_objects": [item.name for item in left],
        },
        left_behind_note=leftovers.note(broker, left),
    )


def _managed(account: Account, server_id: str) -> ManagedAccount:
    marker = account.marker
    return ManagedAccount(
        GrantIdentity(
            account.name, marker.mark if marker else derive_mark(account.name), server_id
        ),
        account.name,
        grant_id_of(account.name) if marker else None,
        marker.portal_id if marker else "",
        marker.deadline if marker else None,
        marker.deadline if marker else None,
        not account.is_locked,
        account.has_global_rights,
        account.memberships,
    )


def _about(statement: str, role: str) -> str:
    """Return a statement about a role, as roles cannot be parameters."""
    if "%" in role or not role.isprintable():
        raise TargetRefused(f"The name of the role {role!r} can't be used. Rename it.")
    return statement.format(role="`" + role.replace("`", "``") + "`")


def _shell(word: str) -> str:
    return word if word.replace("_", "").isalnum() else "'" + word.replace("'", "'\\''") + "'"
