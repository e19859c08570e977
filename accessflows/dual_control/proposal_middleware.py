"""Keeps what a service refused to change alone as a pending change, whichever page called the service."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accessflows.acting import action_context
from accessflows.dual_control.actions import ConfirmationRequired
from accessflows.dual_control.services import propose_change
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from mfa.middleware import redirect_to_verify


class DualControlMiddleware:
    """Propose the change, and lead to Pending Changes.

    It runs once the view's transactions were rolled back, Django admin's among them.
    """

    def __init__(self, get_response: Callable[[PortalRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: PortalRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(
        self, request: PortalRequest, exception: Exception
    ) -> HttpResponse | None:
        if not isinstance(exception, ConfirmationRequired):
            return None
        try:
            proposed = propose_change(**action_context(request), change=exception.change)
        except WindowClosed as closed:
            return redirect_to_verify(request, closed)
        messages.info(request, f"Nothing was changed yet. Another admin must confirm: {proposed}.")
        return HttpResponseRedirect(reverse("changes:list"))
