"""Why a write about MFA was refused. Each message is a sentence for the person who asked."""


class MfaError(Exception):
    """What was asked for is refused; ``str()`` says why and what to do."""

    sentence = "That is not possible."

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or self.sentence)


class WindowClosed(MfaError):
    """A fresh verification is needed first."""

    sentence = "Enter a six-digit code first, then try again."


class MalformedCode(MfaError):
    """What was typed cannot be a code. It is not a try and is not counted."""

    sentence = "Enter the six digits your authenticator app shows."


class AlreadyEnrolled(MfaError):
    sentence = "MFA is already on. Only an account admin can reset it."


class NotEnrolled(MfaError):
    sentence = "MFA is not set up. Set it up under Security & Privacy first."


class SignInTooOld(MfaError):
    sentence = "Enter your password once more before setting up MFA."


class SetUpGone(MfaError):
    sentence = "That set-up was replaced or is too old. Choose Set up once more."


class NotAllowed(MfaError):
    sentence = "Only an account admin may do that. Nothing was changed."


class ReasonMissing(MfaError):
    sentence = "Say why, in up to 500 characters."


class RecoveryCodesOff(MfaError):
    sentence = "Recovery codes are switched off here. Use your authenticator app."


class NoSuchBrowser(MfaError):
    sentence = "That browser is not on your list any more, so there is nothing to forget."


class NotHeldOff(MfaError):
    sentence = (
        "That person's codes are not held off by the 30-day limit, so there is nothing to lift."
    )
