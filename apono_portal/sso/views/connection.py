"""Connecting an account in use with a sign-in at a provider."""

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.exceptions import SignInRefused
from apono_portal.sso.identities import connect_identity
from apono_portal.sso.pending_connection import (
    PendingConnection,
    forget_connection,
    pending_connection,
)
from mfa.enrolment.reauthentication import password_proven_at
from mfa.exceptions import PasswordNotRecent


@login_not_required
@never_cache
@require_http_methods(["GET", "POST"])
def connect(request: HttpRequest) -> HttpResponse:
    """Ask the owner of an account to sign in to it, then to confirm."""
    pending = pending_connection(request)
    if pending is None:
        return redirect("users:sign_in")
    if request.method == "POST" and request.user.is_authenticated:
        return _connect(cast(PortalRequest, request), pending)
    is_owner = request.user.is_authenticated and request.user.email == pending.email
    return render(request, "sso/connect.html", {"pending": pending, "is_owner": is_owner})


def _connect(request: PortalRequest, pending: PendingConnection) -> HttpResponse:
    try:
        connect_identity(
            user=request.user,
            pending=pending,
            window=request.mfa.window,
            password_proven_at=password_proven_at(request),
            client_info=ClientInfo.of(request),
        )
    except SignInRefused as refused:
        messages.error(request, refused.sentence)
        return redirect("sso:connect")
    except PasswordNotRecent:
        messages.error(request, "Sign out and sign in with your password again, then connect.")
        return redirect("sso:connect")
    forget_connection(request)
    messages.success(request, f"Connected. You can sign in with {pending.provider_name} now.")
    return redirect("requests:my_access")
