"""Webhooks: adding, changing, testing, deleting."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.notifications import services
from apono_portal.notifications.exceptions import NotificationError
from apono_portal.notifications.forms import WebhookForm
from apono_portal.notifications.models import Webhook
from apono_portal.notifications.services import NewSecret


@require_safe
@readers_only
def webhooks(request: PortalRequest) -> HttpResponse:
    return render(request, "notifications/webhooks.html", {"webhooks": Webhook.objects.all()})


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            new = services.create_webhook(**action_context(request), data=form.webhook_input())
        except NotificationError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            return _secret_page(request, new)
    return _form_page(request, form, webhook=None)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    form = WebhookForm(request.POST if request.method == "POST" else None, webhook=webhook)
    if form.is_bound and form.is_valid():
        try:
            data = form.webhook_input()
            services.change_webhook(
                **action_context(request),
                webhook=webhook,
                data=data,
                seen=form.cleaned_data["seen"],
            )
        except NotificationError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {data.name}.")
            return redirect("notifications:webhooks")
    return _form_page(request, form, webhook=webhook)


@admins_only
@require_POST
def replace_secret(request: PortalRequest, pk: int) -> HttpResponse:
    """Generate a new secret and show it once."""
    webhook = get_object_or_404(Webhook, pk=pk)
    new = services.replace_secret(**action_context(request), webhook=webhook)
    return _secret_page(request, new)


@admins_only
@require_POST
def send_test(request: PortalRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    services.send_test(**action_context(request), webhook=webhook)
    messages.success(
        request, f"Sending a test message to {webhook.name}. See Deliveries for the result."
    )
    return redirect("notifications:webhooks")


@admins_only
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    webhook = get_object_or_404(Webhook, pk=pk)
    if request.method == "POST":
        services.delete_webhook(**action_context(request), webhook=webhook)
        messages.success(request, f"Deleted {webhook.name}.")
        return redirect("notifications:webhooks")
    return render(request, "notifications/webhook_delete.html", {"webhook": webhook})


def _secret_page(request: PortalRequest, new: NewSecret) -> HttpResponse:
    context = {"webhook": new.webhook, "secret": new.secret}
    return render(request, "notifications/webhook_secret.html", context)


def _form_page(
    request: PortalRequest, form: WebhookForm, *, webhook: Webhook | None
) -> HttpResponse:
    context = {"form": form, "webhook": webhook}
    return render(
        request, "notifications/webhook_form.html", context, status=422 if form.errors else 200
    )
