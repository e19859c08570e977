"""Renaming and removing a method on Security & Privacy."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.types import PortalRequest
from mfa.decorators import mfa_required
from mfa.exceptions import LastMethod, MethodNotFound
from mfa.methods.forms import NameForm
from mfa.methods.services import find_method, remove_method, rename_method
from mfa.models import Authenticator, Method, Passkey


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
def rename(request: PortalRequest, kind: str, pk: int) -> HttpResponse:
    method = _method(request, kind, pk)
    form = NameForm(request.POST or None, initial={"name": method.name})
    if not form.is_valid():
        context = {"form": form, "method": method}
        status = 422 if form.errors else 200
        return render(request, "mfa/rename_method.html", context, status=status)
    rename_method(
        user=request.user,
        kind=Method(kind),
        pk=pk,
        name=form.cleaned_data["name"],
        window=request.mfa.window,
        client_info=ClientInfo.of(request),
    )
    messages.success(request, f"Renamed to {form.cleaned_data['name']}.")
    return redirect("mfa:security")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
def remove(request: PortalRequest, kind: str, pk: int) -> HttpResponse:
    method = _method(request, kind, pk)
    if request.method != "POST":
        return render(request, "mfa/remove_method.html", {"method": method})
    try:
        remove_method(
            user=request.user,
            kind=Method(kind),
            pk=pk,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
        )
    except (LastMethod, MethodNotFound) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{method.name} was removed.")
    return redirect("mfa:security")


def _method(request: PortalRequest, kind: str, pk: int) -> Authenticator | Passkey:
    if kind not in {Method.CODE, Method.PASSKEY}:
        raise Http404
    try:
        return find_method(user_id=request.user.pk, kind=Method(kind), pk=pk)
    except MethodNotFound as error:
        raise Http404 from error
