"""Which notices one gets by mail."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apono_portal.core.web.client import ClientInfo
from apono_portal.notifications import services
from apono_portal.notifications.forms import MailsForm


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    form = MailsForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_bound and form.is_valid():
        services.choose_mails(
            actor=request.user, wanted=form.wanted(), client_info=ClientInfo.of(request)
        )
        messages.success(request, "Saved. It counts from the next notice on.")
        return redirect("notifications:choose")
    return render(
        request,
        "notifications/preferences.html",
        {"form": form},
        status=422 if form.errors else 200,
    )
