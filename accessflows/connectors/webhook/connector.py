"""The connector of the kind "webhook": each call of the protocol as one signed call, or a few.

A grant is known to the receiver by its reference, the same name that is a login elsewhere. What the
receiver lets its owner in with is in the answer to `issue_credential`, and nowhere else.
"""

from collections.abc import Callable, Mapping, Sequence
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
    Activation,
    CapabilityRole,
    Check,
    Cleaning,
    Containment,
    Credential,
    GrantIdentity,
    GrantSpec,
    Inventory,
    ManagedRole,
    Membership,
    OwnedObject,
    Proof,
    ResidueItem,
    RoleListing,
    Target,
    grant_id_of,
    role_name_of,
)
from accessflows.connectors.webhook import canary, preflight
from accessflows.connectors.webhook.client import call
from accessflows.connectors.webhook.responses import LONGEST_SENTENCE, Answer

LONGEST_RECEIVER_ID = 32
LONGEST_PASSWORD = 4096
MOST_SKEW = timedelta(seconds=30)
AT_ONCE = 8

Answered = TypeVar("Answered")


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
        answer = call(target, "discover", {})
        resources = answer.texts("resources")
        roles = tuple(
            CapabilityRole(row.text("name"), row.texts("resources"))
            for row in answer.rows("permissions")
        )
        return Inventory(resources, roles, answer.number("version", 1), _receiver(answer))

    def describe_rights(
        self, target: Target, resource: str, permissions: Sequence[str]
    ) -> dict[str, list[str]]:
        rows = call(target, "discover", {}).rows("permissions")
        said = {row.text("name"): row.texts("rights", longest=LONGEST_SENTENCE) for row in rows}
        return {name: list(said.get(name, ())) for name in permissions}

    def check_permission(self, target: Target, permission: str) -> None:
        if permission not in {role.name for role in self.discover(target).roles}:
            raise TargetRefused(f"The receiver has no permission {permission}. Choose another.")

    def activate(self, target: Target, spec: GrantSpec) -> Activation:
        asked = {
            "grant": spec.role_name,
            "portal": spec.portal_id,
            "resource": spec.resource,
            "permission": spec.permission,
            "deadline": spec.deadline.isoformat(),
            "receiver": spec.system_identifier,
        }
        answer = call(target, "activate", asked, message_id=f"{spec.grant_id}.activate")
        server_time = answer.moment("server_time")
        skew = server_time - datetime.now(UTC)
        if abs(skew) > MOST_SKEW:
            raise ClockSkew(
                f"The receiver's clock differs by {abs(skew).total_seconds():.0f} seconds. Let both "
                "machines keep time by NTP."
            )
        valid_until = answer.moment("valid_until")
        if valid_until > spec.deadline + timedelta(seconds=1):
            raise TargetRefused(
                "The receiver would keep the grant past its end. Mend the receiver."
            )
        identity = _identity(spec.role_name, _receiver(answer, spec.system_identifier))
        return Activation(
            identity,
            answer.number("version", 1),
            server_time,
            skew,
            valid_until,
            answer.flag("already_there"),
        )

    def locate(self, target: Target, spec: GrantSpec) -> GrantIdentity | None:
        asked = {"grant": spec.role_name, "receiver": spec.system_identifier}
        answer = call(target, "locate", asked)
        receiver = _receiver(answer, spec.system_identifier)
        return _identity(spec.role_name, receiver) if answer.flag("found") else None

    def issue_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity
    ) -> Credential:
        return _credential(target, spec, _ask(target, "issue_credential", identity))

    def reset_credential(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, end_sessions: bool
    ) -> Credential:
        asked = {"end_sessions": end_sessions}
        return _credential(target, spec, _ask(target, "reset_credential", identity, asked))

    def extend(
        self, target: Target, spec: GrantSpec, identity: GrantIdentity, *, since: datetime | None
    ) -> datetime:
        asked = {
            "deadline": spec.deadline.isoformat(),
            "since": since.isoformat() if since else None,
        }
        step = f"extend.{int(spec.deadline.timestamp())}"
        valid_until = _ask(target, "extend", identity, asked, step=step).moment("valid_until")
        if valid_until > spec.deadline + timedelta(seconds=1):
            raise TargetRefused(
                "The receiver would keep the grant past its end. Mend the receiver."
            )
        if since is not None and valid_until <= since:
            raise TargetRefused("The receiver did not extend the grant.")
        return valid_until

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        answer = _ask(target, "contain", identity, step="contain")
        return Containment(
            answer.number("sessions_ended", 0), 0, was_absent=answer.flag("was_absent")
        )

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        return _each(partial(self.contain, target), identities)

    def end_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """A receiver has one call that ends a grant, `contain`, and no sooner way."""
        return {}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObject:
        return OwnedObject(_items(_ask(target, "find_owned_objects", identity), "items"))

    def clean(self, target: Target, identity: GrantIdentity) -> Cleaning:
        answer = _ask(target, "clean", identity, step="clean")
        return Cleaning(removed=_items(answer, "removed"), was_absent=answer.flag("was_absent"))

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        answer = _ask(target, "prove", identity)
        return Proof(
            role_gone=answer.flag("gone"),
            sessions_gone=answer.flag("sessions_gone"),
            residue_none=answer.flag("residue_none"),
            checked_at=answer.moment("checked_at"),
            method="Asked the receiver, which looked whether anything of the grant is left.",
            details={"receiver": identity.system_identifier},
        )

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        return _each(partial(self.prove, target), identities)

    def list_managed_roles(
        self,
        target: Target,
        portal_id: str,
        identities: Sequence[GrantIdentity],
        *,
        after: int = 0,
        upto: int | None = None,
    ) -> RoleListing:
        """A receiver lists everything in one answer."""
        answer = call(target, "list", {"portal": portal_id})
        return RoleListing(answer.moment("server_time"), _receiver(answer), tuple(_listed(answer)))

    canary = canary.canary


def _each(
    call: Callable[[GrantIdentity], Answered], identities: Sequence[GrantIdentity]
) -> dict[GrantIdentity, Answered | ConnectorError]:
    """Make a call about each, some at a time."""

    def answer(identity: GrantIdentity) -> Answered | ConnectorError:
        try:
            return call(identity)
        except ConnectorError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(identities, pool.map(answer, identities), strict=True))


def _identity(reference: str, receiver: str) -> GrantIdentity:
    """A receiver has no numbers for its grants; the one made of the grant's id is as unique."""
    grant_id = grant_id_of(reference)
    if grant_id is None:
        raise TargetMismatch("This is no reference of a grant of the portal's.")
    return GrantIdentity(role_name_of(grant_id), grant_id.int >> 68, receiver)


def _ask(
    target: Target,
    kind: str,
    identity: GrantIdentity,
    more: Mapping[str, object] | None = None,
    *,
    step: str = "",
) -> Answer:
    """Call about a grant. A ``step`` that may be done twice keeps its message id when tried again."""
    asked = {"grant": identity.role_name, "receiver": identity.system_identifier, **(more or {})}
    message_id = f"{grant_id_of(identity.role_name)}.{step}" if step else None
    answer = call(target, kind, asked, message_id=message_id)
    _receiver(answer, identity.system_identifier)
    return answer


def _receiver(answer: Answer, expected: str = "") -> str:
    """The id the receiver gives itself: another one means that another receiver answers."""
    receiver = answer.text("receiver", longest=LONGEST_RECEIVER_ID)
    if expected and receiver != expected:
        raise TargetMismatch(
            "Another receiver answers at this address than the one that made the grant. Restore the "
            "address of the first."
        )
    return receiver


def _credential(target: Target, spec: GrantSpec, answer: Answer) -> Credential:
    return Credential(
        answer.text("host", longest=253, default=target.host),
        answer.number("port", target.port),
        spec.resource,
        answer.text("user", longest=255),
        answer.text("password", longest=LONGEST_PASSWORD),
    )


def _items(answer: Answer, key: str) -> tuple[ResidueItem, ...]:
    return tuple(
        ResidueItem(row.text("resource"), row.text("kind"), row.text("name", longest=255))
        for row in answer.rows(key)
    )


def _listed(answer: Answer) -> list[ManagedRole]:
    receiver = _receiver(answer)
    found = []
    for row in answer.rows("grants"):
        reference, ends = row.text("grant"), row.moment("valid_until")
        found.append(
            ManagedRole(
                _identity(reference, receiver),
                reference,
                grant_id_of(reference),
                row.text("portal"),
                ends,
                ends,
                row.flag("open"),
                has_attributes=False,
                memberships=(Membership(row.text("permission"), admin=False, may_set=False),),
            )
        )
    return found
