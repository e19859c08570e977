"""How long requests take, by class of view: a histogram of this web server's processes.

Gunicorn's processes share it through files (`apono_portal.gunicorn_config`), so each answers for all of a
machine. Scrape every machine by itself.
"""

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from prometheus_client import Histogram
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import CollectorRegistry
from prometheus_client.values import MutexValue, ValueClass

BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# By namespace, or namespace and name. Anything else is a page, or an action if it writes.
VIEW_CLASSES = {
    "api_v1": "api",
    "client_v1": "api",
    "scim": "scim",
    "users:sign_in": "sign_in",
    "sso": "sign_in",
    "requests:step_up": "verification",
    "metrics": "metrics",
}

durations = Histogram(
    "portal_request_duration_seconds",
    "Time that requests took, by class of view.",
    ["view"],
    buckets=BUCKETS,
    registry=None,
)


class RequestDurationMiddleware:
    """Measure what the middleware and the view after this one take."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = self.get_response(request)
        durations.labels(view_class(request)).observe(time.perf_counter() - began)
        return response


def view_class(request: HttpRequest) -> str:
    """Return one of a few names, whatever was requested."""
    match = request.resolver_match
    default = "page" if request.method in {"GET", "HEAD"} else "action"
    if match is None:
        return default
    by_name = VIEW_CLASSES.get(match.view_name)
    return by_name or VIEW_CLASSES.get(match.namespace.partition(":")[0], default)


_register_shared: Callable[[CollectorRegistry], object] = MultiProcessCollector


def register_durations(registry: CollectorRegistry) -> None:
    """Let a registry collect the durations of all processes of this web server."""
    if ValueClass is MutexValue:  # a single process
        registry.register(durations)
    else:
        _register_shared(registry)
