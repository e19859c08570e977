"""What can go wrong between the portal and a target, as sentences for users.

Every message says what happened and what to do, and never carries a secret: raise these `from None`, so
that the driver's own message is not chained.
"""


class ConnectorError(Exception):
    """Base of all connector errors. `sentence` is safe to show, store and log."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class TargetUnavailable(ConnectorError):
    """The target cannot be reached or is too busy. Retry later."""


class TargetRefused(ConnectorError):
    """The target, or one of our rules about it, refuses. Retrying helps only after a change."""


class TargetMismatch(ConnectorError):
    """What exists on the target is not what we created. Nothing was touched; an admin must look."""


class ClockSkew(TargetRefused):
    """The clocks of portal and target differ too much for a deadline to mean the same on both."""
