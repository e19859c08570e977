"""Signing out on other devices."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accessflows.acting import action_context
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.device_sessions import this_device_id
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import SignedInDevice, User


@require_POST
def end(request: PortalRequest, pk: int) -> HttpResponse:
    """Sign out on another of one's own devices."""
    device = get_object_or_404(SignedInDevice, pk=pk, user=request.user)
    if device.pk == this_device_id(request):
        messages.info(request, "This is the device you are using. Choose Sign out in the menu.")
        return redirect("mfa:security")
    try:
        services.end_device(
            user=request.user, device_id=device.pk, client_info=ClientInfo.of(request)
        )
    except UserError as error:
        messages.info(request, error.sentence)
    else:
        messages.success(request, f"Signed out: {device.name}.")
    return redirect("mfa:security")


@require_POST
def end_others(request: PortalRequest) -> HttpResponse:
    """Sign out everywhere but here."""
    count = services.end_other_devices(
        user=request.user,
        this_device=this_device_id(request),
        client_info=ClientInfo.of(request),
    )
    sentence = "You were signed out everywhere else." if count else "You are signed in only here."
    messages.success(request, sentence)
    return redirect("mfa:security")


@admins_only
@require_POST
def end_of_user(request: PortalRequest, pk: int, device_pk: int) -> HttpResponse:
    """Sign a user out on one device."""
    user = get_object_or_404(User, pk=pk)
    device = get_object_or_404(SignedInDevice, pk=device_pk, user=user)
    try:
        services.end_device_of_user(**action_context(request), user=user, device_id=device.pk)
    except UserError as error:
        messages.info(request, error.sentence)
    else:
        messages.success(request, f"{user.name} was signed out: {device.name}.")
    return redirect(safe_next(request) or "users:list")


@admins_only
@require_POST
def end_all_of_user(request: PortalRequest, pk: int) -> HttpResponse:
    """Sign a user out everywhere; an admin's own session stays."""
    user = get_object_or_404(User, pk=pk)
    services.end_devices_of_user(
        **action_context(request), user=user, this_device=this_device_id(request)
    )
    messages.success(request, f"{user.name} was signed out everywhere.")
    return redirect(safe_next(request) or "users:list")
