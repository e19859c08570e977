"""Why a command ends, and with which exit code."""

FAILED = 1  # refused, or the portal cannot be reached
USAGE = 2  # argparse's
NOT_SIGNED_IN = 3
VERIFICATION_NEEDED = 4
TIMED_OUT = 5
NOT_GRANTED = 6  # rejected, cancelled, lapsed, failed, or over


class CommandError(Exception):
    """The command ends with this sentence and exit code."""

    def __init__(self, sentence: str, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class VerificationNeeded(CommandError):
    """The portal wants its user to verify in a browser, at ``url``."""

    def __init__(self, sentence: str, url: str) -> None:
        super().__init__(sentence, VERIFICATION_NEEDED)
        self.url = url
