"""Who must sign in, the idle timeout, how many sign-ins a process handles at once, and refused passwords."""

from collections.abc import Callable
from functools import cache
from math import ceil
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.kept_forms import forget_words, keep_words
from apono_portal.core.web.next_page import SAFE_METHODS, return_url
from apono_portal.users import sign_in_devices
from apono_portal.users.device_sessions import touch_device
from apono_portal.users.exceptions import PasswordsBlocked, PasswordsBusy
from apono_portal.users.hashers import ConcurrencyLimit
from apono_portal.users.services import record_lockout
from apono_portal.users.sessions import SessionStore

# In each process. Strangers cannot take the slots of browsers in which their owner signed in before.
STRANGERS = ConcurrencyLimit(at_once=1, waiting=1, wait_s=0.5)
OWNERS = ConcurrencyLimit(at_once=1, waiting=4, wait_s=5.0)
POLL_HEADER = "X-Poll"  # static/js/poll.js


class SignInRequiredMiddleware(LoginRequiredMiddleware):
    """Send visitors to sign in. After a form they come back to its page, with the words they typed."""

    def process_view(
        self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any
    ) -> Any:
        if request.method == "POST" and request.user.is_authenticated:
            forget_words(request)
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        if request.method in SAFE_METHODS:
            return super().handle_no_permission(request, view_func)
        page = keep_words(request)
        hint = " What you typed is kept for 15 minutes." if page else ""
        messages.warning(request, f"You were signed out. Nothing was changed.{hint}")
        return redirect_to_login(page or return_url(request), self.get_login_url(view_func))


class IdleTimeoutMiddleware:
    """Keep a session alive while its user does something. A page that polls is not somebody's doing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not request.user.is_authenticated or POLL_HEADER in request.headers:
            return response
        if cast(SessionStore, request.session).postpone_idle_timeout():
            touch_device(request)
        return response


class SignInLimitMiddleware:
    """Let few sign-ins in at once, and refuse the others before anything is looked up or rendered.

    So the pages stay quick however many passwords are tried.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self._path = reverse("users:sign_in")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or request.path_info != self._path:
            return self.get_response(request)
        try:
            _ = request.body  # before the slot, which a slow sender must not hold
        except UnreadablePostError:
            return HttpResponse(status=400)
        is_known = sign_in_devices.is_known_for_sign_in(request)
        try:
            with (OWNERS if is_known else STRANGERS).slot():
                return self.get_response(request)
        except PasswordsBusy as busy:
            return busy_response(busy)


class PasswordRefusalMiddleware:
    """429 until when no password is accepted, 503 while too many are being compared."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, PasswordsBusy):
            return busy_response(exception)
        return _blocked(request, exception) if isinstance(exception, PasswordsBlocked) else None


def busy_response(busy: PasswordsBusy) -> HttpResponse:
    page = _busy_page()
    headers = {
        "Retry-After": str(busy.retry_after_s),
        "Content-Length": str(len(page)),
    }
    return HttpResponse(page, status=503, headers=headers)


@cache
def _busy_page() -> bytes:
    """Render once: a flood of sign-ins gets nothing else."""
    return render_to_string("503.html").encode()


def _blocked(request: HttpRequest, blocked: PasswordsBlocked) -> HttpResponse:
    if blocked.is_new:
        record_lockout(
            email="" if blocked.whole_network else _email_of(request),
            client_info=ClientInfo.of(request),
        )
    response = render(request, "429.html", {"retry_at": blocked.until}, status=429)
    wait_s = (blocked.until - timezone.now()).total_seconds()
    response["Retry-After"] = str(max(ceil(wait_s), 1))
    return response


def _email_of(request: HttpRequest) -> str:
    """Return whose password was tried: the user's own, or the email entered at sign-in."""
    return request.user.email if request.user.is_authenticated else request.POST.get("username", "")
