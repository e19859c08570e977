"""What can go wrong between the portal and a target, as sentences for people.

Every message says what happened and what to do, and never carries a secret: raise these
`from None`, so that the driver's own message is not dragged along.
"""


class ConnectorError(Exception):
    """Base of all connector errors. `sentence` is safe to show, to store and to log."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class TargetUnavailable(ConnectorError):
    """The target cannot be reached or is too busy just now. Trying again later is right."""


class TargetRefused(ConnectorError):
    """The target, or a rule of ours about it, says no. Trying again helps only after a change."""


class TargetMismatch(ConnectorError):
    """What is there is not what we made. Nothing was touched, somebody has to look."""


class ClockSkew(TargetRefused):
    """The clocks of portal and target differ too much for a deadline to mean the same on both."""
