"""The Verification page and "Verify now". Auditors may verify as well: it changes nothing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from audit.integrity.selectors import chain_status, latest_verification, recent_verifications
from audit.services import request_verification


@require_safe
@readers_only
def verification(request: HttpRequest) -> HttpResponse:
    latest = latest_verification()
    context = {
        "chain": chain_status(),
        "verification": latest,
        "progress_token": latest.progress_token if latest else "",
        "verifications": recent_verifications(),
    }
    return render(request, "audit/verification.html", context)


@readers_only
@require_POST
def verify(request: PortalRequest) -> HttpResponse:
    request_verification(actor=request.user, client_info=ClientInfo.of(request))
    return redirect("audit:verification")
