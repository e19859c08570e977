"""Provisioning: directories and their tokens."""

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.scim import tokens
from apono_portal.scim.forms import DirectoryForm, TokenForm
from apono_portal.scim.models import Directory, ScimToken
from apono_portal.scim.views.endpoint import PATH
from apono_portal.users.exceptions import UserError


@readers_only
@require_safe
def directories(request: PortalRequest) -> HttpResponse:
    rows = Directory.objects.annotate(
        user_count=Count("users", distinct=True), group_count=Count("groups", distinct=True)
    ).prefetch_related("tokens")
    context = {
        "directories": rows,
        "base_url": f"{settings.PORTAL_URL}{PATH}",
        "can_change": request.user.is_account_admin,
    }
    return render(request, "scim/directories.html", context)


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = DirectoryForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            directory = tokens.create_directory(**action_context(request), **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            return redirect("scim:create_token", pk=directory.pk)
    status = 422 if form.errors else 200
    return render(request, "scim/directory_form.html", {"form": form}, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def create_token(request: PortalRequest, pk: int) -> HttpResponse:
    """Create a token and show it, this once."""
    directory = get_object_or_404(Directory, pk=pk)
    form = TokenForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            new = tokens.create_token(
                **action_context(request), directory=directory, **form.cleaned_data
            )
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            context = {
                "directory": directory,
                "token": new.token,
                "text": new.text,
                "base_url": f"{settings.PORTAL_URL}{PATH}",
            }
            return render(request, "scim/token.html", context)
    context = {"form": form, "directory": directory}
    return render(request, "scim/token_form.html", context, status=422 if form.errors else 200)


@admins_only
@require_POST
def revoke_token(request: PortalRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(ScimToken.objects.select_related("directory"), pk=pk)
    tokens.revoke_token(**action_context(request), token=token)
    messages.success(request, f"The token {token} no longer works.")
    return redirect("scim:directories")


@admins_only
@require_http_methods(["GET", "POST"])
def delete(request: PortalRequest, pk: int) -> HttpResponse:
    directory = get_object_or_404(Directory, pk=pk)
    if request.method == "POST":
        tokens.delete_directory(**action_context(request), directory=directory)
        messages.success(request, f"Disconnected {directory.name}.")
        return redirect("scim:directories")
    context = {"directory": directory, "user_count": directory.users.count()}
    return render(request, "scim/directory_delete.html", context)
