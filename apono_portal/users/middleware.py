"""Answers to refused password attempts, wherever a password is asked for."""

from collections.abc import Callable
from math import ceil

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.exceptions import PasswordsBlocked, PasswordsBusy
from apono_portal.users.services import record_lockout


class PasswordRefusalMiddleware:
    """429 until when no password is accepted, 503 while too many are being compared."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, PasswordsBusy):
            response = render(request, "503.html", status=503)
            response["Retry-After"] = str(exception.retry_after_s)
            return response
        return _blocked(request, exception) if isinstance(exception, PasswordsBlocked) else None


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
