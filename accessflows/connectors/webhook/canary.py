"""The canary of a webhook receiver, which must refuse a credential after containment."""

from accessflows.connectors.canary import Canary, Step
from accessflows.connectors.errors import TargetRefused


class WebhookCanary(Canary):
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
