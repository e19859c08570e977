"""The Users tab: directory, adding, changing, deactivating, resetting MFA."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accessflows.acting import action_context
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.directory import directory_page
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import (
    ChangeUserForm,
    DirectoryFilterForm,
    NewUserForm,
    ResetMfaForm,
    UserForm,
)
from apono_portal.users.models import User
from apono_portal.users.ownership import directory_of
from apono_portal.users.selectors import live_requests_of, locked_out_users
from apono_portal.users.services.passwords import Invitation
from mfa.exceptions import MethodNotFound, MfaError, WindowClosed
from mfa.methods.selectors import is_enrolled
from mfa.methods.services import vouch_for_passkey as vouch_for_passkey_of


@readers_only
@require_GET
def directory(request: PortalRequest) -> HttpResponse:
    form = DirectoryFilterForm(request.GET)
    filters, position = form.directory_filter(), form.cleaned_data
    page = directory_page(filters, before=position.get("before"), after=position.get("after"))
    context = {
        "page": page,
        "locked_out": locked_out_users(timezone.now(), [user.pk for user in page.users]),
        "filters": form,
        "can_change": request.user.is_account_admin,
    }
    return render(request, "users/list.html", context)


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = NewUserForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            user = services.create_user(**action_context(request), **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            if user.is_service:
                return redirect("api:create_service_token", pk=user.pk)
            return _invite(request, user)
    return _form_page(request, form, user=None)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    initial = {
        "name": user.name,
        "role": user.role,
        "groups": user.groups.all(),
        "seen": services.user_digest(user),
    }
    data = request.POST if request.method == "POST" else None
    form = ChangeUserForm(data, initial=initial, directory=directory_of(user))
    if form.is_bound and form.is_valid():
        try:
            services.change_user(**action_context(request), user=user, **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {form.cleaned_data['name']}.")
            return redirect("users:detail", pk=user.pk)
    return _form_page(request, form, user=user)


@admins_only
@require_POST
def invite(request: PortalRequest, pk: int) -> HttpResponse:
    return _invite(request, get_object_or_404(User, pk=pk, is_active=True, is_service=False))


@admins_only
@require_http_methods(["GET", "POST"])
def deactivate(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    if request.method == "GET":
        context = {"account": user, "live_requests": live_requests_of(user).count()}
        return render(request, "users/deactivate.html", context)
    try:
        services.deactivate_user(**action_context(request), user=user)
    except UserError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(
            request,
            f"{user.name} was deactivated. Their sessions were ended and their access is being revoked.",
        )
    return redirect("users:detail", pk=user.pk)


@admins_only
@require_POST
def reactivate(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        services.reactivate_user(**action_context(request), user=user)
    except UserError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, f"{user.name} can sign in again.")
    return redirect("users:detail", pk=user.pk)


@admins_only
@require_http_methods(["GET", "POST"])
def reset_mfa(request: PortalRequest, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    form = ResetMfaForm(
        request.POST if request.method == "POST" else None,
        initial=kept_words(request, "reason"),
    )
    if not is_enrolled(user.pk):
        messages.info(request, f"{user.name} has not set up MFA, so there is nothing to reset.")
        return redirect("users:list")
    if form.is_bound and form.is_valid():
        try:
            invitation = services.reset_mfa_of_user(
                **action_context(request), user=user, **form.cleaned_data
            )
            return _after_reset(request, user, invitation)
        except WindowClosed:
            raise
        except MfaError as error:
            form.add_error(None, str(error))
    context = {"account": user, "form": form, "live_requests": live_requests_of(user).count()}
    status = 422 if form.errors else 200
    return render(request, "users/reset_mfa.html", context, status=status)


@admins_only
@require_POST
def vouch_for_passkey(request: PortalRequest, pk: int, passkey_pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    try:
        passkey = vouch_for_passkey_of(**action_context(request), user=user, pk=passkey_pk)
    except MethodNotFound as error:
        raise Http404 from error
    messages.success(request, f"{passkey} can now be used for access that requires a passkey.")
    return redirect("users:detail", pk=user.pk)


@admins_only
@require_POST
def remind(request: PortalRequest) -> HttpResponse:
    """Email a reminder to the users without MFA."""
    try:
        count, has_more = services.send_mfa_reminders(**action_context(request))
    except UserError as error:
        messages.error(request, error.sentence)
        return redirect("users:list")
    if count:
        more = " More users remain: send again to remind them." if has_more else ""
        reminders = "1 MFA reminder" if count == 1 else f"{count:,} MFA reminders"
        messages.success(request, f"Sending {reminders}.{more}")
    else:
        messages.info(
            request, "No reminders to send: all users have MFA or were reminded in the last day."
        )
    return redirect("users:list")


def _after_reset(request: PortalRequest, user: User, invitation: Invitation | None) -> HttpResponse:
    if invitation and not invitation.emailed:
        return _link_page(request, user, invitation)
    if user == request.user:  # this session has ended with the others
        messages.success(request, "Your MFA was reset. Sign in to set it up again.")
        return redirect("users:sign_in")
    link = f" A link to set a new password is being sent to {user.email}." if invitation else ""
    messages.success(
        request, f"MFA was reset for {user.name}, and all their sessions were ended.{link}"
    )
    return redirect("users:list")


def _invite(request: PortalRequest, user: User) -> HttpResponse:
    """Send the link to set a password, or show it once. Users of a provider need none."""
    try:
        invitation = services.invite_user(**action_context(request), user=user)
    except UserError as error:
        messages.info(request, error.sentence)
        return redirect("users:list")
    if invitation.emailed:
        messages.success(request, f"A link to set a password is being sent to {user.email}.")
        return redirect("users:list")
    return _link_page(request, user, invitation)


def _link_page(request: PortalRequest, user: User, invitation: Invitation) -> HttpResponse:
    """Show a link to set a password, this once."""
    context = {"account": user, "password_link": invitation.link}
    return render(request, "users/invited.html", context)


def _form_page(request: PortalRequest, form: UserForm, *, user: User | None) -> HttpResponse:
    context: dict[str, Any] = {"form": form, "account": user}
    if user:
        managed = user.groups.filter(scim_group__isnull=False).order_by("name")
        context |= {"directory": directory_of(user), "managed_groups": managed}
    return render(request, "users/form.html", context, status=422 if form.errors else 200)
