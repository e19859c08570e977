"""Metrics, Django admin's sign-in, and error pages."""

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

from apono_portal.core.web.kept_forms import keep_words
from apono_portal.core.web.next_page import return_url, safe_next
from apono_portal.observability.metrics import PortalCollector
from apono_portal.observability.request_durations import register_durations


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics to clients that send ``METRICS_TOKEN``, and 404 to others."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    sent = request.headers.get("Authorization", "")
    if not settings.METRICS_TOKEN or not constant_time_compare(sent, expected):
        raise Http404
    registry = CollectorRegistry()
    registry.register(PortalCollector(timezone.now()))
    register_durations(registry)
    text = generate_latest(registry)
    return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Redirect to the portal's sign-in page, which replaces Django admin's."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next", ""))
    if not request.user.is_staff:
        raise Http404
    return redirect("admin:index")


def admin_password(request: HttpRequest) -> HttpResponse:
    """Redirect to the portal's page: Django admin's neither advances the epoch nor records the event."""
    return redirect("users:password")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", status=404)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Explain what happened in the other tab, and lead on. Words typed here are kept for their user."""
    is_own = is_own_form(request)
    page = keep_words(request) if is_own else ""
    context = {
        "is_sign_in": request.path == reverse("users:sign_in"),
        "has_words": bool(page),
        "page": page or (return_url(request) if is_own else resolve_url("requests:my_access")),
        "next": safe_next(request),
    }
    return render(request, "403_csrf.html", context, status=403)


def is_own_form(request: HttpRequest) -> bool:
    """Return whether a form comes from a page of the portal, as far as the browser says."""
    sender = urlsplit(request.headers.get("Origin") or request.headers.get("Referer", ""))
    return sender.netloc == request.get_host()


def server_error(request: HttpRequest) -> HttpResponse:
    """Render without context processors, which may fail again for the same reason."""
    return HttpResponse(render_to_string("500.html"), status=500)
