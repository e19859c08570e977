"""The verified window of every request, and the one place that turns people away for want of it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.utils.http import escape_leading_slashes, url_has_allowed_host_and_scheme

from mfa.exceptions import NotAllowed, NotEnrolled, WindowClosed
from mfa.verification.window import WindowState, state_of

ADMIN_SITE = "admin"
SAFE_METHODS = {"GET", "HEAD"}


class VerifiedWindowMiddleware:
    """Puts ``request.mfa`` on every request and holds marked views and Django admin to it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.mfa = WindowState(request)  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        state = state_of(request)
        if not request.user.is_authenticated or state_satisfies(state, view, request):
            return None
        return lead_to_window(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Treat what a service refused under its lock as if it had been refused at the door."""
        if isinstance(exception, NotAllowed):
            raise Http404 from exception
        state = state_of(request)
        wants_set_up = isinstance(exception, NotEnrolled) and not state.enrolled
        if isinstance(exception, WindowClosed) or wants_set_up:
            return lead_to_window(request)
        return None


def lead_to_window(request: HttpRequest) -> HttpResponse:
    """Lead to the code, or to set-up, and back to where the person was."""
    state = state_of(request)
    if not state.enrolled:
        messages.warning(request, "Set up MFA first. What you asked for needs it.")
        return HttpResponseRedirect(resolve_url("mfa:security"))
    if request.method not in SAFE_METHODS:
        messages.warning(
            request, "Enter a code, then send the form once more. Nothing was changed."
        )
    query = urlencode({"next": way_back(request)})
    return HttpResponseRedirect(f"{resolve_url(settings.MFA_STEP_UP_URL)}?{query}")


def state_satisfies(state: WindowState, view: Callable[..., Any], request: HttpRequest) -> bool:
    """Whether the state of the window is enough for this view.

    Somebody the view is not for is left to the view, which says that there is no such page: a code
    is never asked for what is refused anyway.
    """
    allowed: Callable[[Any], bool] = getattr(view, "allowed", _is_staff_at_admin_site(request))
    if not allowed(request.user):
        return True
    if getattr(view, "mfa_required", False) or _is_admin_site(request):
        return state.is_open
    if getattr(view, "mfa_required_if_enrolled", False):
        return state.is_open or not (state.enrolled or settings.MFA_ADMINS_MUST_ENROL)
    return True


def way_back(request: HttpRequest) -> str:
    """Return where to go after the code: this page, or for a form the page it stood on."""
    if request.method in SAFE_METHODS:
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        page = urlsplit(referer)
        return escape_leading_slashes(page.path) + (f"?{page.query}" if page.query else "")
    return resolve_url(settings.LOGIN_REDIRECT_URL)


def _is_admin_site(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and ADMIN_SITE in match.namespaces


def _is_staff_at_admin_site(request: HttpRequest) -> Callable[[Any], bool]:
    return lambda user: bool(user.is_staff) or not _is_admin_site(request)
