"""What kinds of targets have in common. A kind overrides what it knows to do better."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

from accessflows.connectors.canary import Canary, trial_grant
from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import (
    Check,
    Connector,
    Containment,
    GrantIdentity,
    OwnedObjects,
    PermissionEntry,
    PermissionState,
    Proof,
    Target,
)

T = TypeVar("T")


class ConnectorBase(Connector):
    """The parts of a connector whose target has no objects with owners, keeps no connections, ends nothing
    at a moment by itself, and where no permission gives anybody else anything."""

    canary_class: ClassVar[type[Canary]]

    def keep_connections(self, target: Target, databases: Iterable[str]) -> None:
        """Do nothing: each call makes its way."""

    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]:
        return outcomes_of(lambda identity: self.contain(target, identity), identities)

    def terminate_sessions_at(
        self, target: Target, identities: Sequence[GrantIdentity], moment: datetime
    ) -> dict[GrantIdentity, int]:
        """Return that nothing was terminated: `contain` alone does that."""
        return {}

    def find_owned_objects(self, target: Target, identity: GrantIdentity) -> OwnedObjects:
        """Return nothing: nothing here carries an owner, as the promises say."""
        return OwnedObjects(())

    def read_permission(
        self, target: Target, permission: str, *, server_id: str = ""
    ) -> PermissionState:
        """Return nothing: what a grantee could give to others is refused as a permission."""
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

    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]:
        return outcomes_of(lambda identity: self.prove(target, identity), identities)

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
        return self.canary_class(self, target, trial).run()


class BatchConnector(ConnectorBase):
    """A connector that contains and proves any number of grants with one connection."""

    @abstractmethod
    def contain_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Containment | ConnectorError]: ...

    @abstractmethod
    def prove_many(
        self, target: Target, identities: Sequence[GrantIdentity]
    ) -> dict[GrantIdentity, Proof | ConnectorError]: ...

    def contain(self, target: Target, identity: GrantIdentity) -> Containment:
        return _result_of(self.contain_many(target, [identity]), identity)

    def prove(self, target: Target, identity: GrantIdentity) -> Proof:
        return _result_of(self.prove_many(target, [identity]), identity)


def outcomes_of(
    call: Callable[[GrantIdentity], T], identities: Iterable[GrantIdentity]
) -> dict[GrantIdentity, T | ConnectorError]:
    """Call for each grant. One failure does not stop the others."""
    return {identity: outcome_of(call, identity) for identity in identities}


def outcome_of(call: Callable[[GrantIdentity], T], identity: GrantIdentity) -> T | ConnectorError:
    try:
        return call(identity)
    except ConnectorError as error:
        return error


def _result_of(outcomes: Mapping[GrantIdentity, T | ConnectorError], identity: GrantIdentity) -> T:
    """Return the outcome of one grant, or raise the error it is."""
    outcome = outcomes[identity]
    if isinstance(outcome, ConnectorError):
        raise outcome
    return outcome
