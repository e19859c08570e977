"""Deliveries: what was sent to whom because of which event, and what was not."""

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.core.db.keyset import page_of
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.notifications import services
from apono_portal.notifications.exceptions import NoticeRefused
from apono_portal.notifications.forms import DeliveriesForm
from audit.models import Delivery
from mfa.decorators import mfa_required_if_enrolled


@require_safe
@readers_only
def deliveries(request: HttpRequest) -> HttpResponse:
    form = DeliveriesForm(request.GET)
    found = form.apply(Delivery.objects.all())
    asked = form.cleaned_data
    page = page_of(found, before=asked.get("before"), after=asked.get("after"))
    context = {
        "form": form,
        "page": page,
        "mail_is_set_up": not settings.EMAIL_BACKEND.endswith(".dummy.EmailBackend"),
    }
    return render(request, "notifications/deliveries.html", context)


@admins_only
@mfa_required_if_enrolled
@require_POST
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    delivery = get_object_or_404(Delivery, pk=pk)
    try:
        services.send_again(**action_context(request), delivery=delivery)
    except NoticeRefused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"It is sent to {delivery.recipient_name} again, within seconds.")
    return redirect("notifications:deliveries")
