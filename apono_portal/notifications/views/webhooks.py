"""Webhooks that are told of events."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.notifications import services
from apono_portal.notifications.exceptions import NoticeRefused
from apono_portal.notifications.forms import WebhookForm
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.services import Made
from mfa.decorators import mfa_required_if_enrolled


@require_safe
@readers_only
def webhooks(request: HttpRequest) -> HttpResponse:
    return render(request, "notifications/webhooks.html", {"webhooks": Webhook.objects.all()})


@never_cache
@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            made = services.create_webhook(**action_context(request), terms=form.terms())
        except NoticeRefused as refused:
            form.add_error(refused.field or None, refused.sentence)
        else:
            return _secret_page(request, made)
    return _form_page(request, form, webhook=None)


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    form = WebhookForm(request.POST if request.method == "POST" else None, webhook=webhook)
    if form.is_bound and form.is_valid():
        try:
            services.change_webhook(**action_context(request), webhook=webhook, terms=form.terms())
        except NoticeRefused as refused:
            form.add_error(refused.field or None, refused.sentence)
        else:
            messages.success(request, f"{form.terms().name} is saved.")
            return redirect("notifications:webhooks")
    return _form_page(request, form, webhook=webhook)


@never_cache
@admins_only
@mfa_required_if_enrolled
@require_POST
def replace_secret(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a new secret and show it, this once."""
    webhook = get_object_or_404(Webhook, pk=pk)
    return _secret_page(
        request, services.replace_secret(**action_context(request), webhook=webhook)
    )


@admins_only
@mfa_required_if_enrolled
@require_POST
def send_test(request: HttpRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    services.send_test(**action_context(request), webhook=webhook)
    messages.success(
        request,
        f"A test is posted to {webhook.name} within seconds. Deliveries shows what came of it.",
    )
    return redirect("notifications:webhooks")


@admins_only
@mfa_required_if_enrolled
@require_http_methods(["GET", "POST"])
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    if request.method == "POST":
        services.delete_webhook(**action_context(request), webhook=webhook)
        messages.success(request, f"{webhook.name} is deleted.")
        return redirect("notifications:webhooks")
    return render(request, "notifications/webhook_delete.html", {"webhook": webhook})


def _secret_page(request: HttpRequest, made: Made) -> HttpResponse:
    return render(request, "notifications/webhook_secret.html", {"made": made})


def _form_page(request: HttpRequest, form: WebhookForm, *, webhook: Webhook | None) -> HttpResponse:
    context = {"form": form, "webhook": webhook}
    return render(
        request, "notifications/webhook_form.html", context, status=422 if form.errors else 200
    )
