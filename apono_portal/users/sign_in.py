"""What sign-in puts into the session, and how failed attempts are told apart."""

from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from apono_portal.users.managers import normalise_email
from mfa.enrolment.reauthentication import stamp_password
from mfa.verification.window import close_window


def stamp_session(request: HttpRequest) -> None:
    """Remember that the password was proven just now. No verified window survives a sign-in."""
    stamp_password(request)
    close_window(request)


def name_for_axes(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return a keyed hash of the e-mail address typed: people type passwords there by mistake.

    The address is normalised first, so that another spelling of it has no attempts of its own.
    """
    typed = (credentials or {}).get("username") or request.POST.get("username", "")
    return salted_hmac("apono_portal.users.sign_in", normalise_email(typed)).hexdigest()


def locked_until(request: HttpRequest, credentials: dict[str, Any] | None) -> datetime:
    """Return when this address may try this account again. Blocked attempts do not move it."""
    last = (
        AccessAttempt.objects.filter(
            username=name_for_axes(request, credentials),
            ip_address=getattr(request, "axes_ip_address", None),
        )
        .order_by("-attempt_time")
        .values_list("attempt_time", flat=True)
        .first()
    )
    cool_off: timedelta = settings.AXES_COOLOFF_TIME
    until: datetime = (last or timezone.now()) + cool_off
    return until
