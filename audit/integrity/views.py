"""How far the log is sealed and verified, and "Verify now". Auditors may ask as well: it changes nothing."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from audit.integrity.background_verification import latest_check
from audit.integrity.selectors import chain_standing, last_verifications
from audit.services import ask_for_check


@require_safe
@readers_only
def verification(request: HttpRequest) -> HttpResponse:
    check = latest_check()
    context = {
        "chain": chain_standing(),
        "check": check,
        "moving": f"{check.pk}-{check.state}-{check.checked}" if check and check.is_open else "",
        "verifications": last_verifications(),
    }
    return render(request, "audit/verification.html", context)


@readers_only
@require_POST
def ask(request: HttpRequest) -> HttpResponse:
    ask_for_check(actor=request.user, client_info=ClientInfo.of(request))
    return redirect("audit:verification")
