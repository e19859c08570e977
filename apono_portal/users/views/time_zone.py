"""Which time zone a user reads times in."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.users.services.time_zone import choose_time_zone
from apono_portal.users.time_zones import TimeZoneForm, zone_names


@require_http_methods(["GET", "HEAD", "POST"])
def time_zone(request: PortalRequest) -> HttpResponse:
    initial = {"time_zone": request.user.time_zone}
    form = TimeZoneForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        choose_time_zone(
            actor=request.user,
            time_zone=form.cleaned_data["time_zone"],
            client_info=ClientInfo.of(request),
        )
        messages.success(request, "Time zone saved.")
        return redirect("users:time_zone")
    context = {"form": form, "names": zone_names()}
    return render(request, "users/time_zone.html", context, status=422 if form.errors else 200)
