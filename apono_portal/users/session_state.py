"""The session after a sign-in."""

from apono_portal.core.web.types import PortalRequest
from mfa.enrolment.reauthentication import stamp_password
from mfa.verification.window import close_window


def stamp_session(request: PortalRequest) -> None:
    """Record that the password was entered just now, and close any verified window."""
    stamp_password(request)
    close_window(request)
