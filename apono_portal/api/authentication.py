"""Who calls: the token in the ``Authorization`` header, and nothing else."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja.security import HttpBearer

from apono_portal.api.models import ApiToken, CallCount
from apono_portal.api.problems import Problem
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.selectors import token_in_force
from apono_portal.core.web.client import ClientInfo

API_PATHS = ("/api/v1/", "/api/client/v1/", "/mcp")
CALLS_PER_MINUTE = 300
USED_ROUNDED_TO = timedelta(minutes=5)
NOT_A_READER = "Only account admins and auditors can read this."
NOT_AN_ADMIN = "Only account admins can do this."


class ApiRequest(HttpRequest):
    """A request with a token that is in force."""

    auth: ApiToken


class CookielessMiddleware:
    """Take the cookies off calls of the API: only a token says who calls, so no site can call for a user."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(API_PATHS):
            request.COOKIES = {}
        return self.get_response(request)


class BearerToken(HttpBearer):
    """Authentication by a token with one scope; without ``scope``, by any token."""

    def __init__(
        self,
        scope: Scope | None = None,
        *,
        readers_only: bool = False,
        admins_only: bool = False,
    ) -> None:
        super().__init__()
        self.admins_only = admins_only
        self.scope = scope
        self.readers_only = readers_only

    def authenticate(self, request: HttpRequest, token: str) -> ApiToken | None:
        api_token = token_in_force(token)
        if api_token is None:
            return None
        _count_call(api_token)
        if self.scope is not None:
            check_scope(api_token, self.scope)
        if self.readers_only and not api_token.user.can_read_everything:
            raise Problem(403, "not_allowed", NOT_A_READER)
        if self.admins_only and not api_token.user.is_account_admin:
            raise Problem(403, "not_allowed", NOT_AN_ADMIN)
        return api_token


def check_scope(token: ApiToken, scope: Scope) -> None:
    """Raise a problem unless the token has the scope."""
    if scope not in token.scopes:
        sentence = f"This token lacks the scope {scope.value}."
        raise Problem(403, "missing_scope", sentence, {"scope": scope.value})


def client_of(request: ApiRequest) -> ClientInfo:
    """Return what audit events say of the caller: address, program, and the token."""
    return ClientInfo.of(request, request.auth.info)


def _count_call(token: ApiToken) -> None:
    """Count a call in the token's minute, or refuse it. Notes every five minutes that it is in use."""
    now = timezone.now()
    if not _is_counted(token, now.replace(second=0, microsecond=0)):
        wait_s = 60 - now.second
        raise Problem(
            429,
            "too_many_calls",
            f"A token may be used {CALLS_PER_MINUTE} times a minute. Wait {wait_s} seconds.",
            headers={"Retry-After": str(wait_s)},
        )
    if token.last_used_at is None or now - token.last_used_at >= USED_ROUNDED_TO:
        past = timedelta(minutes=now.minute % 5, seconds=now.second, microseconds=now.microsecond)
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now - past)


def _is_counted(token: ApiToken, minute: datetime) -> bool:
    """Count a call, mostly with one statement. False if the minute is used up."""
    counts = CallCount.objects.filter(token=token)
    for _ in range(2):  # again, if another call has just begun the minute
        if counts.filter(minute=minute, calls__lt=CALLS_PER_MINUTE).update(calls=F("calls") + 1):
            return True
        if counts.exclude(minute=minute).update(minute=minute, calls=1):
            return True
        first = {"minute": minute, "calls": 1}
        if CallCount.objects.get_or_create(token=token, defaults=first)[1]:
            return True
    return False
