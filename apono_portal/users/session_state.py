"""The session after a sign-in."""

from apono_portal.core.web.types import PortalRequest
from apono_portal.users.sessions import BEGAN_AT
from mfa.enrolment.reauthentication import stamp_password
from mfa.verification.window import close_window


def stamp_session(request: PortalRequest) -> None:
    """Record that the password was entered just now, and close any verified window."""
    request.session.pop(BEGAN_AT, None)  # its age counts from here
    stamp_password(request)
    close_window(request)
