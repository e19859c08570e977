"""Deliveries: what was sent to whom because of which event, and what failed."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.core.db.keyset import page_of
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.notifications import services
from apono_portal.notifications.exceptions import NotificationError
from apono_portal.notifications.forms import DeliveryFilterForm
from audit.models import Delivery
from audit.outbox.deliveries import is_email_configured


@require_safe
@readers_only
def deliveries(request: PortalRequest) -> HttpResponse:
    form = DeliveryFilterForm(request.GET)
    matching = form.apply(Delivery.objects.all())
    position = form.cleaned_data
    page = page_of(matching, before=position.get("before"), after=position.get("after"))
    context = {
        "form": form,
        "page": page,
        "email_configured": is_email_configured(),
    }
    return render(request, "notifications/deliveries.html", context)


@admins_only
@require_POST
def send_again(request: PortalRequest, pk: int) -> HttpResponse:
    delivery = get_object_or_404(Delivery, pk=pk)
    try:
        services.send_again(**action_context(request), delivery=delivery)
    except NotificationError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, f"Sending again to {delivery.recipient_name}.")
    return redirect("notifications:deliveries")
