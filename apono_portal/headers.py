"""The content security policy, written out once."""

from typing import Any

from csp.constants import HEADER, HEADER_REPORT_ONLY
from csp.middleware import CSPMiddleware
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class ContentSecurityPolicyMiddleware(CSPMiddleware):
    """django-csp's, which writes the same policy out for every answer: here once for all of them.

    An answer that asks for a policy of its own, or a request that has a nonce, gets its own.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._policy = ""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        plain = not settings.DEBUG and not _asks_for_its_own(request, response)
        if self._policy and plain:
            response.headers.setdefault(HEADER, self._policy)
            return response
        answer = super().process_response(request, response)
        if plain and HEADER_REPORT_ONLY not in response.headers:
            self._policy = response.headers.get(HEADER, "")
        return answer


def _asks_for_its_own(request: HttpRequest, response: HttpResponseBase) -> bool:
    own = any(name.startswith("_csp") for name in vars(response))
    return own or HEADER in response.headers or getattr(request, "_csp_nonce", None) is not None
