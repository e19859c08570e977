"""The session after a sign-in."""

from datetime import datetime

from django.contrib import messages
from django.http import HttpResponseBase

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.kept_forms import forget_words_of_others
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import sign_in_devices
from apono_portal.users.device_sessions import remember_device
from apono_portal.users.models import User
from apono_portal.users.selectors import has_signed_in_since
from apono_portal.users.services.sign_in import record_sign_in
from apono_portal.users.sessions import BEGAN_AT
from audit.services import Metadata
from mfa.enrolment.reauthentication import stamp_proof
from mfa.reset import last_reset
from mfa.verification.window import close_window


def stamp_session(request: PortalRequest, *, proven_at: datetime | None) -> None:
    """Record when the user proved who they are, and close any verified window."""
    request.session.pop(BEGAN_AT, None)  # its age counts from here
    stamp_proof(request, proven_at)
    close_window(request)


def announce_reset(request: PortalRequest, user: User) -> None:
    """Say who reset the user's MFA and why, if that was after their last sign-in."""
    reset = last_reset(user)
    if reset is not None and not has_signed_in_since(user, reset.at):
        messages.warning(request, f"Set up MFA again under Security & Privacy. {reset.sentence}")


def complete_sign_in(
    request: PortalRequest,
    response: HttpResponseBase,
    user: User,
    *,
    proven_at: datetime | None,
    provider: Metadata | None = None,
) -> None:
    """Stamp the session of a user who has just signed in, list and record it, and remember the browser.

    ``proven_at`` is now after a password. ``provider`` is what an identity provider said, for the log.
    """
    stamp_session(request, proven_at=proven_at)
    remember_device(request, user)
    forget_words_of_others(request)
    announce_reset(request, user)
    record_sign_in(
        user=user,
        client_info=ClientInfo.of(request),
        new_browser=not sign_in_devices.is_known_device(request, user),
        provider=provider,
    )
    sign_in_devices.remember_device(request, response, user)
