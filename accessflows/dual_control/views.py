"""Pending Changes: the list, and the decision of a second admin."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from accessflows.acting import action_context
from accessflows.dual_control.selectors import (
    decided_changes,
    has_second_admin,
    pending_rows,
)
from accessflows.dual_control.services import confirm_change, reject_change, withdraw_change
from accessflows.exceptions import Refused
from accessflows.models import ProposedChange
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest


@readers_only
@require_GET
def pending(request: PortalRequest) -> HttpResponse:
    context = {
        "changes": pending_rows(request.user),
        "decided": decided_changes(),
        "is_on": settings.DUAL_CONTROL,
        "has_second_admin": has_second_admin(),
    }
    return render(request, "accessflows/pending_changes.html", context)


@admins_only
@require_POST
def confirm(request: PortalRequest, pk: int) -> HttpResponse:
    """Apply the change, and lead to what was changed: a new admin still needs a password link."""
    proposed = get_object_or_404(ProposedChange, pk=pk)
    action = proposed.protected_action
    try:
        changed = confirm_change(**action_context(request), proposed=proposed)
    except Refused as refused:
        messages.error(request, refused.sentence)
        return redirect("changes:list")
    messages.success(request, f"Confirmed and applied: {proposed}.")
    return redirect(action.page, pk=changed.pk) if action else redirect("changes:list")


@admins_only
@require_POST
def reject(request: PortalRequest, pk: int) -> HttpResponse:
    return _decide(request, pk, reject_change, "Rejected")


@admins_only
@require_POST
def withdraw(request: PortalRequest, pk: int) -> HttpResponse:
    return _decide(request, pk, withdraw_change, "Withdrawn")


def _decide(
    request: PortalRequest, pk: int, decide: Callable[..., object], outcome: str
) -> HttpResponse:
    proposed = get_object_or_404(ProposedChange, pk=pk)
    try:
        decide(**action_context(request), proposed=proposed)
    except Refused as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, f"{outcome}: {proposed}.")
    return redirect("changes:list")
