"""Refusals of the MFA services. ``str()`` of each is a sentence for the user."""


class MfaError(Exception):
    """The action is refused; ``str()`` says why and what to do."""

    message = "This action is not possible."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class WindowClosed(MfaError):
    """A fresh verification is needed first."""

    message = "Enter a six-digit code first, then try again."


class MalformedCode(MfaError):
    """The text cannot be a code. It is not an attempt and is not counted."""

    message = "Enter the six digits your authenticator app shows."


class AlreadyEnrolled(MfaError):
    message = "MFA is already on. Only an account admin can reset it."


class NotEnrolled(MfaError):
    message = "MFA is not set up. Set it up under Security & Privacy first."
    admins = "Account admins need MFA before they change anything. It takes about two minutes."


class PasswordNotRecent(MfaError):
    message = "Confirm your password before you set up MFA."


class SetUpExpired(MfaError):
    message = "This setup was replaced or has expired. Choose Set up again."


class NotAllowed(MfaError):
    message = "Only an account admin can do this. Nothing was changed."


class InvalidReason(MfaError):
    message = "Enter a reason of up to 500 characters."


class RecoveryCodesDisabled(MfaError):
    message = "Recovery codes are turned off. Use your authenticator app."


class BrowserNotFound(MfaError):
    message = "That browser is no longer on your list."


class NotLockedOut(MfaError):
    message = "This user is not locked out by the 30-day limit. Nothing was changed."
