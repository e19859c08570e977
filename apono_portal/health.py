"""Health checks. Neither waits for a database that went silent."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from requests_app.models import WorkerHeartbeat

READY_TIMEOUT_SECONDS = 1.5
_probes = ThreadPoolExecutor(1, thread_name_prefix="readyz")  # while it hangs, so does the database


class HealthMiddleware:
    """Answer health checks before any middleware reads the session from the database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        view = {"/healthz": healthz, "/readyz": readyz}.get(request.path_info, self.get_response)
        return view(request)


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """Respond 200 while the process runs, without the database."""
    return JsonResponse({"status": "ok"})


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """Respond 200 if the database responds within `READY_TIMEOUT_SECONDS`, else 503.

    That no worker runs, or one without the key of checkpoints, is only a detail: pages work nevertheless.
    """
    probe = _probes.submit(_worker_details)
    try:
        details = probe.result(READY_TIMEOUT_SECONDS)
    except (DatabaseError, TimeoutError):
        probe.cancel()
        return JsonResponse({"status": "database unreachable"}, status=503)
    return JsonResponse({"status": "ok", **details})


def _worker_details() -> dict[str, str]:
    """Query over a new connection, in a thread of its own."""
    try:
        running = WorkerHeartbeat.objects.running(timezone.now())
        can_sign = list(running.values_list("can_sign", flat=True))
    finally:
        connection.close()
    if not can_sign:
        return {"worker": "none"}
    return {"worker": "running", "signing_key": "present" if all(can_sign) else "missing"}
