"""A full cycle through a receiver: make, reveal, contain, reveal again in vain, clean, prove."""

import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import Check, Connector, GrantIdentity, GrantSpec, Target

_LIFE = timedelta(minutes=2)


def canary(
    connector: Connector, target: Target, resource: str, permission: str, *, portal_id: str
) -> Iterator[Check]:
    """One check for each step, as it happens; stops after the first red one and cleans up."""
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
        cycle.end_whatever_is_left()


class _Cycle:
    """A grant of the portal's own and what is known of it so far."""

    identity: GrantIdentity

    def __init__(self, connector: Connector, target: Target, spec: GrantSpec) -> None:
        self._connector = connector
        self._target = target
        self._spec = spec

    def steps(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("Make", self._make),
            ("Reveal", self._reveal),
            ("Contain", self._contain),
            ("Reveal again", self._reveal_again),
            ("Clean", self._clean),
            ("Prove", self._prove),
        )

    def _make(self) -> str:
        self.identity = self._connector.activate(self._target, self._spec).identity
        return f"The receiver made the grant {self.identity.role_name}."

    def _reveal(self) -> str:
        self._connector.issue_credential(self._target, self._spec, self.identity)
        return "It answers with a credential."

    def _contain(self) -> str:
        ended = self._connector.contain(self._target, self.identity).sessions_terminated
        return f"Access is cut; sessions ended: {ended}."

    def _reveal_again(self) -> str:
        try:
            self._connector.issue_credential(self._target, self._spec, self.identity)
        except TargetRefused:
            return "It gives no credential any more."
        raise TargetRefused("The ended grant still gives a credential. Mend the receiver.")

    def _clean(self) -> str:
        self._connector.clean(self._target, self.identity)
        return "What was left behind is removed."

    def _prove(self) -> str:
        if not self._connector.prove(self._target, self.identity).holds:
            raise TargetRefused("The receiver says that something of the grant is left.")
        return "The receiver says that nothing is left."

    def end_whatever_is_left(self) -> None:
        """Also if the caller stopped listening. What cannot be ended now is the reconciler's."""
        try:
            identity = self._connector.locate(self._target, self._spec)
            if identity is not None:
                self._connector.contain(self._target, identity)
                self._connector.clean(self._target, identity)
        except ConnectorError:
            return
