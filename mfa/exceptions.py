"""Refusals of the MFA services. ``str()`` of each is a sentence for the user."""


class MfaError(Exception):
    """The action is refused; ``str()`` says why and what to do."""

    message = "This action is not possible."

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.message)


class WindowClosed(MfaError):
    """A fresh verification is needed first."""

    message = "Verify first, then try again."


class PasskeyRequired(WindowClosed):
    """A window is open, or may be, but this flow accepts passkeys only."""

    message = "This flow requires a passkey. Codes are not accepted."


class DeviceBoundRequired(PasskeyRequired):
    """A code or a synced passkey may have opened the window, but this flow accepts neither."""

    message = (
        "This flow requires a device-bound passkey. Codes and synced passkeys are not accepted."
    )


class OwnVerificationRequired(WindowClosed):
    """The flow demands a verification for every request, and this one has been used."""

    message = "This flow requires a verification for every request. Verify again."


class PasskeysUnavailable(MfaError):
    message = "Passkeys do not work at this address."


class MalformedPasskey(MfaError):
    """The answer of the browser cannot be read. It is not an attempt and is not counted."""

    message = "That didn't work. Try again, or use another method."


class PasskeyRefused(MfaError):
    message = "This passkey could not be added. Try again."


class TooManyMethods(MfaError):
    message = "You have reached the maximum number. Remove one first."


class MethodNotFound(MfaError):
    message = "That method is no longer on your list."


class LastMethod(MfaError):
    message = "No other method of yours works here. Ask an account admin to reset your MFA."


class TooManyChallenges(MfaError):
    message = "Too many attempts. Try again in 15 minutes."


class MalformedCode(MfaError):
    """The text cannot be a code. It is not an attempt and is not counted."""

    message = "Enter the six digits your authenticator app shows."


class NotEnrolled(MfaError):
    message = "MFA is not set up. Set it up under Security & Privacy first."
    admins = (
        "Account admins must set up MFA before they can make changes. It takes about two minutes."
    )


class PasswordNotRecent(MfaError):
    message = "Confirm your password before you set up MFA."


class SetUpExpired(MfaError):
    message = "This setup was replaced or has expired. Choose Set up again."


class NotAllowed(MfaError):
    message = "Only an account admin can do this. Nothing was changed."


class InvalidReason(MfaError):
    message = "Enter a reason of up to 500 characters."


class RecoveryCodesDisabled(MfaError):
    message = "Recovery codes are turned off. Use another method."


class BrowserNotFound(MfaError):
    message = "That browser is no longer on your list."


class NotLockedOut(MfaError):
    message = "This user is not locked out by the 30-day limit. Nothing was changed."
