"""Adding a passkey, and the options for a ceremony in the browser."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model, update_session_auth_hash
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next, url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.enrolment.reauthentication import is_password_recent, password_proven_at
from mfa.enrolment.recovery_codes import CodeSheet
from mfa.exceptions import MfaError
from mfa.middleware import redirect_to_verify
from mfa.passkeys.forms import PasskeyForm
from mfa.passkeys.registration import AddedPasskey, add_passkey, begin_registration
from mfa.passkeys.relying_party import unavailable_reason
from mfa.passkeys.verification import begin_verification
from mfa.verification.throttle_scope import session_ref_of
from mfa.verification.window import close_window

UNPROCESSABLE, FORBIDDEN = 422, 403


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def add(request: PortalRequest) -> HttpResponse:
    """GET explains and names the passkey, POST stores what the browser made."""
    if unavailable_reason():
        return redirect("mfa:security")
    if request.mfa.enrolled and not request.mfa.is_open:
        return redirect_to_verify(request)
    if not request.mfa.enrolled and not is_password_recent(
        password_proven_at(request), timezone.now()
    ):
        query = {"for": "passkey"}
        return redirect(
            url_with_next(settings.MFA_CONFIRM_PASSWORD_URL, safe_next(request), **query)
        )
    form = PasskeyForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        status = UNPROCESSABLE if request.method == "POST" else 200
        return render(request, "mfa/add_passkey.html", {"form": form}, status=status)
    try:
        added = add_passkey(
            user=request.user,
            session_ref=session_ref_of(request),
            response=form.cleaned_data["credential"],
            name=form.cleaned_data["name"],
            window=request.mfa.window,
            password_proven_at=password_proven_at(request),
            client_info=ClientInfo.of(request),
        )
    except MfaError as error:
        form.add_error(None, str(error))
        return render(request, "mfa/add_passkey.html", {"form": form}, status=UNPROCESSABLE)
    return _added(request, added)


@require_POST
@never_cache
def registration_options(request: PortalRequest) -> JsonResponse | HttpResponse:
    try:
        options = begin_registration(
            user=request.user,
            session_ref=session_ref_of(request),
            window=request.mfa.window,
            password_proven_at=password_proven_at(request),
        )
    except MfaError as error:
        return JsonResponse({"error": str(error)}, status=FORBIDDEN)
    return HttpResponse(options, content_type="application/json")


@require_POST
@never_cache
def verification_options(request: PortalRequest) -> JsonResponse | HttpResponse:
    try:
        options = begin_verification(user=request.user, session_ref=session_ref_of(request))
    except MfaError as error:
        return JsonResponse({"error": str(error)}, status=FORBIDDEN)
    return HttpResponse(options, content_type="application/json")


def _added(request: PortalRequest, added: AddedPasskey) -> HttpResponse:
    messages.success(request, f"Passkey “{added.passkey.name}” added.")
    if not added.is_first_method:
        return redirect(safe_next(request) or "mfa:security")
    user = get_user_model().objects.select_related("mfa_state").get(pk=request.user.pk)
    close_window(request)
    request.user = user
    update_session_auth_hash(request, user)
    codes = added.recovery_codes
    sheet = CodeSheet(codes, user.email, timezone.now()) if codes else None
    return render(request, "mfa/enabled.html", {"sheet": sheet, "next": safe_next(request)})
