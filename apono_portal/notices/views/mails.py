"""Which notices one gets by mail."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apono_portal.notices import services
from apono_portal.notices.forms import MailsForm
from audit.origin import Origin


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    form = MailsForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_bound and form.is_valid():
        services.choose_mails(actor=request.user, wanted=form.wanted(), origin=Origin.of(request))
        messages.success(request, "Saved. It counts from the next notice on.")
        return redirect("notices:choose")
    return render(
        request,
        "notifications/preferences.html",
        {"form": form},
        status=422 if form.errors else 200,
    )
