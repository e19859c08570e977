"""Run a trial grant through a receiver: create, issue credential, contain, clean, prove."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import Check, Connector, GrantIdentity, GrantSpec, Target

_LIFE = timedelta(minutes=2)


def canary(
    connector: Connector, target: Target, resource: str, permission: str, *, portal_id: str
) -> Iterator[Check]:
    """Yield one check per step as it completes; stop after the first failed one and clean up."""
    deadline = datetime.now(UTC) + _LIFE
    spec = GrantSpec(uuid.uuid4(), portal_id, resource, permission, deadline)
    cycle = _Cycle(connector, target, spec)
    try:
        for name, step in cycle.steps():
            try:
                yield Check.passed(name, step())
            except ConnectorError as error:
                yield Check.failed(name, error.sentence)
                return
    finally:
        cycle.remove_leftovers()


class _Cycle:
    """A trial grant and its state so far."""

    identity: GrantIdentity

    def __init__(self, connector: Connector, target: Target, spec: GrantSpec) -> None:
        self._connector = connector
        self._target = target
        self._spec = spec

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("Create", self._create),
            ("Issue credential", self._issue_credential),
            ("Contain", self._contain),
            ("Issue credential again", self._issue_credential_again),
            ("Clean", self._clean),
            ("Prove", self._prove),
        )

    def _create(self) -> str:
        self.identity = self._connector.activate(self._target, self._spec).identity
        return f"The receiver created the grant {self.identity.role_name}."

    def _issue_credential(self) -> str:
        self._connector.issue_credential(self._target, self._spec, self.identity)
        return "It returns a credential."

    def _contain(self) -> str:
        terminated = self._connector.contain(self._target, self.identity).sessions_terminated
        return f"Nobody can use it any more. Sessions terminated: {terminated}."

    def _issue_credential_again(self) -> str:
        try:
            self._connector.issue_credential(self._target, self._spec, self.identity)
        except TargetRefused:
            return "It no longer returns a credential."
        raise TargetRefused("The contained grant still returns a credential. Fix the receiver.")

    def _clean(self) -> str:
        self._connector.clean(self._target, self.identity)
        return "What was left behind was removed."

    def _prove(self) -> str:
        if not self._connector.prove(self._target, self.identity).holds:
            raise TargetRefused("The receiver reports that something of the grant is left.")
        return "The receiver reports that nothing is left."

    def remove_leftovers(self) -> None:
        """Remove the trial grant, also if the caller stopped iterating. If that fails, the worker does."""
        try:
            identity = self._connector.locate(self._target, self._spec)
            if identity is not None:
                self._connector.contain(self._target, identity)
                self._connector.clean(self._target, identity)
        except ConnectorError:
            return
