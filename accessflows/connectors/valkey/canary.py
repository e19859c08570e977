"""The canary of a server, which also signs in with its credential, before and after containment."""

from collections.abc import Iterator
from dataclasses import replace

from accessflows.connectors.canary import Canary, Step, trial_grant
from accessflows.connectors.errors import ConnectorError, TargetRefused
from accessflows.connectors.protocol import Check, Connector, Target
from accessflows.connectors.valkey.connection import may_sign_in


def canary(
    connector: Connector,
    target: Target,
    resource: str,
    permission: str,
    *,
    portal_id: str,
    allow_delegation: bool = False,
) -> Iterator[Check]:
    trial = trial_grant(portal_id, resource, permission, allow_delegation=allow_delegation)
    return _ValkeyCanary(connector, target, trial).run()


class _ValkeyCanary(Canary):
    def steps(self) -> tuple[Step, ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Sign in", self.sign_in),
            ("Contain", self.contain),
            ("Sign in again", self.sign_in_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )

    def sign_in(self) -> str:
        if not self._may_sign_in():
            raise TargetRefused("The new account can't sign in.")
        return "It can sign in."

    def sign_in_again(self) -> str:
        if self._may_sign_in():
            raise TargetRefused("The contained account can still sign in.")
        return "It can no longer sign in."

    def _may_sign_in(self) -> bool:
        user, password = self.credential.user, self.credential.password
        try:
            return may_sign_in(replace(self.target, user=user, password=password))
        except ConnectorError as error:
            raise TargetRefused(error.sentence) from None
