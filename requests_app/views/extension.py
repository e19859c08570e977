"""Extending the user's own active access."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.extension import extend_access
from requests_app.models import Extension
from requests_app.views.access import get_visible_request
from requests_app.views.responses import conflict_response, sentence_of, verify_for_request


@require_POST
def extend(request: PortalRequest, pk: int) -> HttpResponse:
    access_request = get_visible_request(request, pk)
    try:
        extension = extend_access(
            actor=request.user,
            request=access_request,
            used=_parse_count(request.POST.get("used", "")),
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
        )
    except WindowClosed as error:
        messages.info(request, sentence_of(error, "Verify, then extend."))
        return verify_for_request(request, access_request)
    except (Conflict, RequestRefused) as refusal:
        return conflict_response(request, refusal.sentence, access_request)
    if extension.state == Extension.State.DONE:
        messages.success(request, f"Extended to {relative_datetime(extension.to_end)}.")
    else:
        messages.warning(
            request,
            f"{extension.message} The portal retries until {relative_datetime(extension.from_end)}; "
            "unless the target confirms, access expires then.",
        )
    return redirect("requests:detail", pk=pk)


def _parse_count(text: str) -> int:
    """Return the number of extensions the page showed; -1, which never matches, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
