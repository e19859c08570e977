"""Puts ``request.mfa`` on every request, and turns away requests that need an open window."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect

from apono_portal.core.web.kept_forms import keep_words
from apono_portal.core.web.next_page import SAFE_METHODS, return_url, url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import (
    DeviceBoundRequired,
    NotAllowed,
    NotEnrolled,
    OwnVerificationRequired,
    PasskeyRequired,
    WindowClosed,
)
from mfa.verification.window import WindowState

if TYPE_CHECKING:
    from apono_portal.users.models import User

ADMIN_SITE = "admin"
# What the verification page offers, or asks for again, in its address.
PASSKEY, DEVICE_BOUND, AGAIN = "passkey", "device_bound", "again"
NEEDS: dict[type, str] = {
    PasskeyRequired: PASSKEY,
    DeviceBoundRequired: DEVICE_BOUND,
    OwnVerificationRequired: AGAIN,
}


class VerifiedWindowMiddleware:
    """Enforces an open window where a view is marked (`mfa.decorators`), for admins, and in Django admin.

    Admins who have not set up MFA set it up first, unless ``MFA_ADMINS_MUST_ENROL`` is off.
    """

    def __init__(self, get_response: Callable[[PortalRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: PortalRequest) -> HttpResponse:
        request.mfa = WindowState(request)
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if not request.user.is_authenticated:
            return None
        signed_in = cast(PortalRequest, request)
        return None if is_window_sufficient(signed_in, view) else redirect_to_verify(signed_in)

    def process_exception(
        self, request: PortalRequest, exception: Exception
    ) -> HttpResponse | None:
        """Treat a refusal of a service, under its lock, like one of this middleware."""
        if isinstance(exception, NotAllowed):
            raise Http404 from exception
        needs_set_up = isinstance(exception, NotEnrolled) and not request.mfa.enrolled
        if isinstance(exception, WindowClosed) or needs_set_up:
            return redirect_to_verify(request, exception)
        return None


def redirect_to_verify(request: PortalRequest, refusal: Exception | None = None) -> HttpResponse:
    """Send the user to verify, and back afterwards; to set up MFA first if not enrolled.

    ``refusal`` is what a service demands beyond an open window.
    """
    if not request.mfa.enrolled:
        messages.warning(request, _set_up_first(request.user))
        return HttpResponseRedirect(url_with_next("mfa:security", return_url(request)))
    page = return_url(request)
    if request.method not in SAFE_METHODS:
        page = keep_words(request) or page
        messages.warning(request, "Nothing was changed. Verify, then submit the form again.")
    needs = {"needs": NEEDS[type(refusal)]} if type(refusal) in NEEDS else {}
    return HttpResponseRedirect(url_with_next(settings.MFA_STEP_UP_URL, page, **needs))


def _set_up_first(user: "User") -> str:
    if user.is_account_admin and settings.MFA_ADMINS_MUST_ENROL:
        return NotEnrolled.admins
    return "This requires MFA. Set it up first."


def is_window_sufficient(request: PortalRequest, view: Callable[..., Any]) -> bool:
    """Return whether the state of the window is enough for this view.

    A user whom the view refuses anyway is never asked for a code: the view answers 404.
    """
    state, in_admin_site = request.mfa, _is_admin_site(request)
    is_allowed: Callable[[User], bool] | None = getattr(view, "allowed", None)
    if is_allowed is not None and not is_allowed(request.user):
        return True
    if in_admin_site and not request.user.is_staff:
        return True
    if in_admin_site or getattr(view, "mfa_required", False):
        return state.is_open
    if getattr(view, "admin_action", False):
        return state.is_open or not (state.enrolled or settings.MFA_ADMINS_MUST_ENROL)
    return True


def _is_admin_site(request: PortalRequest) -> bool:
    match = request.resolver_match
    return match is not None and ADMIN_SITE in match.namespaces
