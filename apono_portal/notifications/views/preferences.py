"""Which notifications a user gets by email."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.notifications import services
from apono_portal.notifications.forms import EmailPreferencesForm


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: PortalRequest) -> HttpResponse:
    data = request.POST if request.method == "POST" else None
    form = EmailPreferencesForm(data, user=request.user)
    if form.is_bound and form.is_valid():
        services.choose_emails(
            actor=request.user, kinds=form.kinds(), client_info=ClientInfo.of(request)
        )
        messages.success(request, "Notification preferences saved.")
        return redirect("notifications:choose")
    status = 422 if form.errors else 200
    return render(request, "notifications/preferences.html", {"form": form}, status=status)
