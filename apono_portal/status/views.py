"""The Status page: whether everything works, and where to look if not."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apono_portal.core.web.permissions import readers_only
from apono_portal.status import selectors
from apono_portal.status.problems import current_problems, recent_workers
from audit.integrity.selectors import chain_status


@require_safe
@readers_only
def status(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    heartbeats = recent_workers(now)
    request.problems = current_problems(now, heartbeats)  # type: ignore[attr-defined]  # for the context processor
    targets, workers = selectors.active_targets(), selectors.worker_rows(heartbeats, now)
    context = {
        "now": now,
        "workers": workers,
        "running": sum(worker.is_running for worker in workers),
        "targets": targets,
        "healthy": sum(target.health == target.Health.HEALTHY for target in targets),
        "expiries": selectors.expiries(targets, now),
        "outbox": selectors.outbox(now),
        "chain": chain_status(),
        "siems": selectors.siems(),
        "version": selectors.version(now),
    }
    return render(request, "status/status.html", context)
