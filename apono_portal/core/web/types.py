"""Request types for views."""

from typing import TYPE_CHECKING

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from mfa.verification.window import WindowState


class PortalRequest(HttpRequest):
    """A request from a signed-in user, with the attributes that middleware adds."""

    user: "User"
    mfa: "WindowState"
    htmx: HtmxDetails
    approvals_waiting: int
    pending_mfa_names: list[str]
