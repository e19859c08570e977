"""The connector of kind "webhook": each call of the protocol as one signed call, or a few.

The receiver knows a grant by its reference, the name that is a login elsewhere. The grant's credential is
only in the response to `issue_credential`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from accessflows.connectors.errors import (
    ClockSkew,
    ConnectorError,
    TargetMismatch,
    TargetRefused,
)
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
    OwnedObject,
    OwnedObjects,
    PermissionEntry,
    PermissionState,
    Proof,
    Target,
    grant_id_of,
    login_of,
)
from accessflows.connectors.webhook import canary, preflight
from accessflows.connectors.webhook.client import call
from accessflows.connectors.webhook.responses import MAX_SENTENCE_LENGTH, Response

MAX_RECEIVER_ID_LENGTH = 32
MAX_PASSWORD_LENGTH = 4096
MAX_CLOCK_SKEW = timedelta(seconds=30)
CONCURRENT_CALLS = 8
TOO_LONG = "The receiver would keep the grant past its expiry. Fix the receiver."

T = TypeVar("T")


class WebhookConnector:
    """Implements `accessflows.connectors.protocol.Connector`. Holds no state."""

    def preflight(
        self,
        target: Target,
        permissions: Sequence[str] | None = None,
        *,
        portal_id: str | None = None,
    ) -> list[Check]:
        return preflight.preflight(target)

    def discover(self, target: Target) -> Inventory:
        response = call(target, "discover", {})
        resources = response.texts("resources")
        roles = tuple(
            DiscoveredPermission(row.text("name"), row.texts("resources"))
            for row in response.rows("permissions")
        )
        return Inventory(resources, roles, str(response.number("version", 1)), _receiver(response))

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        rows = call(target, "discover", {}).rows("permissions")
        sentences = {
            row.text("name"): row.texts("rights", max_length=MAX_SENTENCE_LENGTH) for row in rows
        }
        return {name: list(sentences.get(name, ())) for name in permissions}

    def check_permission(
        self, target: Target, permission: str, *, allow_delegation: bool = False
    ) -> None:
        if permission not in {role.name for role in self.discover(target).permissions}:
            raise TargetRefused(f"The receiver has no permission {permission}. Choose another.")

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        data = {
            "grant": spec.login,
            "portal": spec.portal_id,
            "resource": spec.resource,
            "permission": spec.permission,
            "deadline": spec.deadline.isoformat(),
            "receiver": spec.server_id,
        }
        response = call(target, "activate", data, message_id=f"{spec.grant_id}.activate")
        server_time = response.moment("server_time")
        skew = server_time - datetime.now(UTC)
        if abs(skew) > MAX_CLOCK_SKEW:
            raise ClockSkew(
                f"The receiver's clock differs from the portal's by {abs(skew).total_seconds():.0f} s. "
                "Synchronize both clocks (NTP)."
            )
        valid_until = response.moment("valid_until")
        if valid_until > spec.deadline + timedelta(seconds=1):
            raise TargetRefused(TOO_LONG)
        identity = _identity(spec.login, _receiver(response, spec.server_id))
        return Activation(
            identity,
            str(response.number("version", 1)),
            server_time,
            skew,
            valid_until,
            response.flag("already_existed"),
        )

    def read_permission(
        self, target: Target, permission: str, *, server_id: str = ""
    ) -> PermissionState:
        """Return nothing: the receiver alone decides what a grant allows."""
        return PermissionState()

    def undo_permission_changes(
        self,
        target: Target,
        permission: str,
        changes: Sequence[PermissionEntry],
        *,
        server_id: str = "",
    ) -> None:
        """Do nothing: there are no changes to undo."""

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        data = {"grant": spec.login, "receiver": spec.server_id}
        response = call(target, "locate", data)
        receiver = _receiver(response, spec.server_id)
        return _identity(spec.login, receiver) if response.flag("found") else None

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        return _credential(target, spec, _call_about(target, "issue_credential", identity))

    def connection_lines(
        self, target: Target, spec: GrantSpec, credential: Credential
    ) -> tuple[ConnectionLine, ...]:
        """Return nothing: only the receiver knows what the credential is for."""
        return ()

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, terminate_sessions: bool
    ) -> Credential:
        data = {"terminate_sessions": terminate_sessions}
        return _credential(target, spec, _call_about(target, "reset_credential", identity, data))

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        data = {
            "deadline": spec.deadline.isoformat(),
            "since": since.isoformat() if since else None,
        }
        step = f"extend.{int(spec.deadline.timestamp())}"
        valid_until = _call_about(target, "extend", identity, data, step=step).moment("valid_until")
        if valid_until > spec.deadline + timedelta(seconds=1):
            raise TargetRefused(TOO_LONG)
        if since is not None and valid_until <= since:
            raise TargetRefused("The receiver did not extend the grant.")
        return valid_until

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        """Each call is a request of its own."""

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        response = _call_about(target, "contain", identity, step="contain")
        return Containment(
            response.number("sessions_terminated", 0), 0, was_absent=response.flag("was_absent")
        )

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        return _call_for_each(partial(self.contain, target), identities)

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """A receiver has only one call that revokes a grant, `contain`."""
        return {}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        return OwnedObjects(_items(_call_about(target, "find_owned_objects", identity), "items"))

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        response = _call_about(target, "clean", identity, step="clean")
        return Cleaning(removed=_items(response, "removed"), was_absent=response.flag("was_absent"))

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        response = _call_about(target, "prove", identity)
        return Proof(
            role_removed=response.flag("gone"),
            no_open_sessions=response.flag("no_open_sessions"),
            nothing_left_behind=response.flag("nothing_left_behind"),
            checked_at=response.moment("checked_at"),
            method="Reported by the receiver.",
            details={"receiver": identity.server_id},
        )

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        return _call_for_each(partial(self.prove, target), identities)

    def list_managed_accounts(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: str = "",
        up_to: str | None = None,
    ) -> AccountListing:
        """A receiver lists everything in one response."""
        response = call(target, "list", {"portal": portal_id})
        return AccountListing(
            response.moment("server_time"), _receiver(response), tuple(_listed(response))
        )

    canary = canary.canary


def _call_for_each(
    call: Callable[[GrantIdentity], T], identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, T | ConnectorError]:
    """Call for each grant, several at a time."""

    def outcome(identity: GrantIdentity) -> T | ConnectorError:
        try:
            return call(identity)
        except ConnectorError as error:
            return error

    with ThreadPoolExecutor(CONCURRENT_CALLS) as pool:
        return dict(zip(identities, pool.map(outcome, identities), strict=True))


def _identity(reference: str, receiver: str) -> GrantIdentity:
    """A receiver knows a grant by its reference alone; its mark is the grant's id."""
    grant_id = grant_id_of(reference)
    if grant_id is None:
        raise TargetMismatch("The receiver sent a reference that is not a grant of the portal.")
    return GrantIdentity(login_of(grant_id), str(grant_id), receiver)


def _call_about(
    target: Target,
    kind: str,
    identity: GrantIdentity,
    more: Mapping[str, object] | None = None,
    *,
    step: str = "",
) -> Response:
    """Make a call about a grant. An idempotent ``step`` keeps its message id when retried."""
    data = {"grant": identity.name, "receiver": identity.server_id, **(more or {})}
    message_id = f"{grant_id_of(identity.name)}.{step}" if step else None
    response = call(target, kind, data, message_id=message_id)
    _receiver(response, identity.server_id)
    return response


def _receiver(response: Response, expected: str = "") -> str:
    """Return the id of the receiver. Raises TargetMismatch if it is not the expected one."""
    receiver = response.text("receiver", max_length=MAX_RECEIVER_ID_LENGTH)
    if expected and receiver != expected:
        raise TargetMismatch(
            "A different receiver answers at this address than the one that created the grant. "
            "Restore the old address."
        )
    return receiver


def _credential(target: Target, spec: GrantSpec, response: Response) -> Credential:
    return Credential(
        response.text("host", max_length=253, default=target.host),
        response.number("port", target.port),
        spec.resource,
        response.text("user", max_length=255),
        response.text("password", max_length=MAX_PASSWORD_LENGTH),
    )


def _items(response: Response, key: str) -> tuple[OwnedObject, ...]:
    return tuple(
        OwnedObject(row.text("resource"), row.text("kind"), row.text("name", max_length=255))
        for row in response.rows(key)
    )


def _listed(response: Response) -> list[ManagedAccount]:
    receiver = _receiver(response)
    roles = []
    for row in response.rows("grants"):
        reference, deadline = row.text("grant"), row.moment("valid_until")
        permission = Membership(row.text("permission"), admin=False, may_set=False)
        roles.append(
            ManagedAccount(
                _identity(reference, receiver),
                reference,
                grant_id_of(reference),
                row.text("portal"),
                deadline,
                deadline,
                row.flag("open"),
                has_attributes=False,
                memberships=(permission,),
            )
        )
    return roles
