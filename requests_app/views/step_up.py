"""The step-up page: verifying, by code or passkey, although signed in."""

import re
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import prefetch_related_objects
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apono_portal.core.formatting.datetimes import relative_datetime
from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import safe_next, url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.enrolment.forms import RecoveryCodeForm
from mfa.exceptions import MfaError
from mfa.models import Verification
from mfa.verification.attempts import VerificationResult
from mfa.verification.forms import CodeForm
from mfa.verification.lockouts import limit_behind_lockout, locked_out_until
from mfa.verification.strength import shortfall
from mfa.verification.throttle_scope import throttle_scope_of
from mfa.verification.trusted_browsers import set_browser_cookie
from mfa.verification.window import end_session, open_window
from requests_app.models import AccessRequest
from requests_app.presenters.method_choice import method_choice
from requests_app.presenters.request import pending_mfa_rows
from requests_app.selectors import names_of, pending_mfa_requests
from requests_app.submission.pending_mfa import submitted_elsewhere
from requests_app.submission.step_up import step_up
from requests_app.views.kept_decision import kept_decision_row, record_kept_decision

UNPROCESSABLE, TOO_MANY = 422, 429
REQUEST_ID = re.compile(r"[0-9]{1,18}")


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def enter_code(request: PortalRequest) -> HttpResponse:
    if not request.mfa.enrolled:
        messages.warning(request, "Set up MFA first.")
        return redirect(url_with_next("mfa:security", safe_next(request)))
    if request.method == "POST" and request.POST.get("credential"):
        return _use_passkey(request)
    recovery = settings.MFA_RECOVERY_CODES and request.GET.get("with") == "recovery"
    form = (RecoveryCodeForm if recovery else CodeForm)(request.POST or None)
    scope = throttle_scope_of(request, request.user)
    if request.method != "POST" or not form.is_valid():
        locked_until = locked_out_until(request.user, scope, is_recovery=recovery)
        status = UNPROCESSABLE if request.method == "POST" else 200
        return _page(request, form, locked_until, recovery=recovery, status=status)
    result, released = step_up(
        user=request.user,
        code=form.cleaned_data["code"],
        scope=scope,
        client_info=ClientInfo.of(request),
        recovery=recovery,
        leave_out=left_out_ids(request),
        shown=shown_ids(request),
    )
    if result.ok:
        return _succeed(request, result, released)
    return _fail(request, form, result, recovery=recovery)


def _use_passkey(request: PortalRequest) -> HttpResponse:
    """Verify the answer of a passkey. A refusal locks nobody out: a signature cannot be guessed."""
    try:
        result, released = step_up(
            user=request.user,
            passkey=request.POST["credential"],
            scope=throttle_scope_of(request, request.user),
            client_info=ClientInfo.of(request),
            leave_out=left_out_ids(request),
            shown=shown_ids(request),
        )
    except MfaError as error:
        return _passkey_failed(request, str(error))
    if result.ok:
        return _succeed(request, result, released)
    return _passkey_failed(request, result.message)


def _passkey_failed(request: PortalRequest, sentence: str) -> HttpResponse:
    locked_until = locked_out_until(request.user, throttle_scope_of(request, request.user))
    return _page(
        request,
        CodeForm(),
        locked_until,
        recovery=False,
        status=UNPROCESSABLE,
        passkey_error=sentence,
    )


def _succeed(
    request: PortalRequest, result: VerificationResult, released: list[AccessRequest]
) -> HttpResponse:
    """Open the window and continue: where the user came from, else to what was released."""
    next_url = continue_verified(request, result, released)
    response = redirect(next_url or "requests:my_access")
    set_browser_cookie(response, request.user, result.browser_cookie)
    return response


def continue_verified(
    request: PortalRequest, result: VerificationResult, released: list[AccessRequest]
) -> str:
    """Open the window, record a kept decision, and return where to continue, "" for nowhere."""
    open_window(request, result.verification)
    names = ", ".join(pending.reference for pending in released)
    messages.success(request, f"Verified for one hour.{f' Released: {names}.' if names else ''}")
    _explain_what_waits(request, result.verification)
    next_url = record_kept_decision(request) or safe_next(request)
    if not next_url and len(released) == 1:
        next_url = resolve_url("requests:detail", pk=released[0].pk)
    return next_url


def _fail(
    request: PortalRequest, form: Form, result: VerificationResult, *, recovery: bool
) -> HttpResponse:
    """Say what was wrong. Five failures in a row end the session; the requests stay pending."""
    if result.must_end_session:
        end_session(request)
        until = f" You can try again {relative_datetime(result.locked_until)}."
        messages.error(
            request,
            "You were signed out after five incorrect codes. Your requests are still pending MFA."
            f"{until if result.locked_until else ''}",
        )
        return redirect(url_with_next("users:sign_in", safe_next(request)))
    locked_until = result.locked_until
    if locked_until is None:
        form.add_error("code", result.message)
    status = TOO_MANY if locked_until else UNPROCESSABLE
    return _page(request, form, locked_until, recovery=recovery, status=status)


def _page(
    request: PortalRequest,
    form: Form,
    locked_until: datetime | None,
    *,
    recovery: bool,
    status: int,
    passkey_error: str = "",
) -> HttpResponse:
    pending = pending_mfa_requests(request.user)
    prefetch_related_objects(pending, "targets")
    request.pending_mfa_names = names_of(pending)
    scope = throttle_scope_of(request, request.user)
    choice = method_choice(request.user.pk, pending, needs=request.GET.get("needs", ""))
    limit = None
    if locked_until:
        limit = limit_behind_lockout(request.user, scope, is_recovery=recovery)
    context = {
        "form": form,
        "recovery": recovery,
        "locked_until": locked_until,
        "nothing_verifies": locked_until and (recovery or not choice.passkeys),
        "recovery_codes_on": settings.MFA_RECOVERY_CODES,
        "limit": limit,
        "other_ways": bool(choice.passkeys) or recovery or settings.MFA_RECOVERY_CODES,
        "passkey_error": passkey_error,
        "choice": choice,
        "opened": next((item for item in pending if item.pk == opened_request(request)), None),
        **waiting_for_code(request, pending),
    }
    response = render(request, "requests_app/step_up.html", context, status=status)
    if locked_until:
        wait_s = (locked_until - timezone.now()).total_seconds()
        response["Retry-After"] = str(max(int(wait_s), 1))
    return response


def waiting_for_code(
    request: PortalRequest, pending: list[AccessRequest], *, leave_out_elsewhere: bool = False
) -> dict[str, Any]:
    """Return the context of what a verification releases and records, and where it leads.

    Requests made with an API token are left out unless chosen, but for the one whose link was opened;
    ``leave_out_elsewhere``: so are those submitted in another browser.
    """
    elsewhere = submitted_elsewhere(pending, ClientInfo.of(request))
    left_out = left_out_ids(request)
    if request.method != "POST":
        opened = opened_request(request)
        left_out = set(elsewhere) if leave_out_elsewhere else set()
        left_out |= {item.pk for item in pending if item.token_id and item.pk != opened}
    return {
        "next": safe_next(request),
        "pending_mfa": pending_mfa_rows(pending, elsewhere, left_out),
        "shown": ",".join(str(item.pk) for item in pending),
        "any_elsewhere": bool(elsewhere),
        "kept_decision": kept_decision_row(request),
        "leave_out_decision": "leave_out_decision" in request.POST,
    }


def _explain_what_waits(request: PortalRequest, verification: Verification) -> None:
    """Say why requests are still pending: their flow demands more, or the page did not list them.

    Those made since the page was shown are named, so that their owner looks at them.
    """
    shown, left_out = shown_ids(request), left_out_ids(request)
    later = []
    for pending in AccessRequest.objects.waiting_for_code_of(request.user).order_by("pk"):
        if shown is not None and pending.pk not in shown:
            later.append(pending.reference)
        elif pending.pk not in left_out and (
            sentence := shortfall(pending.mfa_requirement(), verification)
        ):
            messages.warning(request, f"{pending.reference} stays pending. {sentence}")
    if later:
        messages.warning(
            request,
            f"Submitted after this page was shown and not released: {', '.join(later)}. If you "
            "didn't submit it, cancel it and change your password.",
        )


def opened_request(request: PortalRequest) -> int:
    """Return the id in the link that an API client gave its user, 0 if the page was opened without one."""
    number = request.GET.get("request", "").removeprefix("AR-")
    return int(number) if REQUEST_ID.fullmatch(number) else 0


def left_out_ids(request: PortalRequest) -> set[int]:
    """Return the ids of the requests that the user chose not to release."""
    return {int(pk) for pk in request.POST.getlist("leave_out") if REQUEST_ID.fullmatch(pk)}


def shown_ids(request: PortalRequest) -> set[int] | None:
    """Return the ids of the requests listed under the code; None if no list was sent."""
    shown = request.POST.get("shown")
    if shown is None:
        return None
    return {int(pk) for pk in shown.split(",") if REQUEST_ID.fullmatch(pk)}
