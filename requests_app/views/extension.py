"""More time for one's own open access."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.web.client import ClientInfo
from mfa.exceptions import WindowClosed
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.extension import extend_access
from requests_app.models import Extension
from requests_app.views.access import find
from requests_app.views.responses import conflict, to_step_up


def _number(text: str) -> int:
    """What the page said was used; -1, which never fits, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1


@require_POST
def extend(request: HttpRequest, pk: int) -> HttpResponse:
    found = find(request, pk)
    try:
        extension = extend_access(
            actor=request.user,
            request=found,
            used=_number(request.POST.get("used", "")),
            window=request.mfa.window,  # type: ignore[attr-defined]
            client_info=ClientInfo.of(request),
        )
    except WindowClosed:
        messages.info(request, "Enter a code, then extend.")
        return to_step_up(request, found)
    except (Conflict, RequestRefused) as refused:
        return conflict(request, refused.sentence, found)
    if extension.state == Extension.State.DONE:
        messages.success(
            request, f"{found.reference} ends {relative_datetime(extension.to_end)} now."
        )
    else:
        messages.warning(
            request,
            f"{extension.message} The portal keeps draft until {relative_datetime(extension.from_end)}; "
            "until it is answered, access ends then.",
        )
    return redirect("requests:detail", pk=pk)
