"""The session after a sign-in, and the identity under which failed attempts are counted."""

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apono_portal.core.web.types import PortalRequest
from apono_portal.users.managers import normalise_email
from mfa.enrolment.reauthentication import stamp_password
from mfa.verification.window import close_window


def stamp_session(request: PortalRequest) -> None:
    """Record that the password was entered just now, and close any verified window."""
    stamp_password(request)
    close_window(request)


def name_for_axes(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return a keyed hash of the email entered: users sometimes type their password there.

    The email is normalised, so that another spelling shares the same limit.
    """
    email = (credentials or {}).get("username") or request.POST.get("username", "")
    return salted_hmac("apono_portal.users.sign_in", normalise_email(email)).hexdigest()


def locked_until(request: HttpRequest, credentials: dict[str, Any] | None) -> datetime:
    """Return when this client may try this account again. Blocked attempts do not extend it."""
    attempts = AccessAttempt.objects.filter(
        username=name_for_axes(request, credentials),
        ip_address=getattr(request, "axes_ip_address", None),
    ).order_by("-attempt_time")
    last = attempts.values_list("attempt_time", flat=True).first()
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    until: datetime = (last or timezone.now()) + cool_off
    return until
