"""The canary of a webhook receiver, which must refuse a credential after containment."""

from collections.abc import Iterator

from accessflows.connectors.canary import Canary, Step, trial_grant
from accessflows.connectors.errors import TargetRefused
from accessflows.connectors.protocol import Check, Connector, Target


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
    return _WebhookCanary(connector, target, trial).run()


class _WebhookCanary(Canary):
    def steps(self) -> tuple[Step, ...]:
        return (
            ("Create", self.create),
            ("Issue credential", self.issue_credential),
            ("Contain", self.contain),
            ("Issue credential again", self.issue_credential_again),
            ("Clean", self.clean),
            ("Prove", self.prove),
        )

    def issue_credential_again(self) -> str:
        try:
            self.issue_credential()
        except TargetRefused:
            return "It no longer returns a credential."
        raise TargetRefused("The contained grant still returns a credential. Fix the receiver.")
