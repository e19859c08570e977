"""The Verification page and "Verify now". Auditors may verify as well: it changes nothing."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.permissions import readers_only
from apono_portal.core.web.types import PortalRequest
from audit.integrity.selectors import chain_status, latest_verification, recent_verifications
from audit.integrity.signed_checkpoints import latest_signed_checkpoint
from audit.services import request_verification
from audit.verify_export.archive import FILENAME, verifier_archive


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


@require_safe
@readers_only
def checkpoint(request: HttpRequest) -> HttpResponse:
    """Return the last signed checkpoint, to be kept elsewhere."""
    signed = latest_signed_checkpoint()
    if signed is None:
        raise Http404
    return _file(signed.note.encode(), f"audit-checkpoint-{signed.size}.txt", "text/plain")


@require_safe
@readers_only
def verifier(request: HttpRequest) -> HttpResponse:
    """Return the program that verifies exports."""
    return _file(verifier_archive(), FILENAME, "application/zip")


def _file(content: bytes, name: str, content_type: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(content, content_type=content_type, headers=headers)


@readers_only
@require_POST
def verify(request: PortalRequest) -> HttpResponse:
    request_verification(actor=request.user, client_info=ClientInfo.of(request))
    return redirect("audit:verification")
