"""Groups: their list, the page of one, and adding, renaming, and changing members."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import (
    AddMembersForm,
    DirectoryFilterForm,
    NewGroupForm,
    RenameGroupForm,
)
from apono_portal.users.group_page import group_page
from apono_portal.users.models import User
from apono_portal.users.ownership import directory_of_group
from apono_portal.users.selectors import group_rows

PAGE_SIZE = 50


@readers_only
@require_GET
def group_list(request: PortalRequest) -> HttpResponse:
    page = Paginator(group_rows(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "users/groups.html", {"page": page})


@readers_only
@require_safe
def group(request: PortalRequest, pk: int) -> HttpResponse:
    shown = get_object_or_404(Group.objects.select_related("scim_group__directory"), pk=pk)
    form = DirectoryFilterForm(request.GET)
    filters, position = form.directory_filter(), form.cleaned_data
    page = group_page(shown, filters, before=position.get("before"), after=position.get("after"))
    context = {
        "page": page,
        "filters": form,
        "can_change": request.user.is_account_admin,
        "can_change_members": request.user.is_account_admin and not page.directory,
    }
    return render(request, "users/group.html", context)


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = NewGroupForm(
        request.POST if request.method == "POST" else None, is_draft="step" in request.POST
    )
    if form.is_bound and not form.is_draft and form.is_valid():
        try:
            added = services.create_group(**action_context(request), **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Added {added.name}.")
            return redirect("users:group", pk=added.pk)
    status = 422 if form.errors else 200
    return render(request, "users/new_group.html", {"form": form}, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    """Rename a group."""
    renamed = get_object_or_404(Group, pk=pk)
    if directory := directory_of_group(renamed):
        return _managed_elsewhere(request, renamed, directory)
    initial = {"name": renamed.name, "seen": services.group_name_digest(renamed)}
    form = RenameGroupForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        try:
            services.rename_group(**action_context(request), group=renamed, **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {form.cleaned_data['name']}.")
            return redirect("users:group", pk=pk)
    context = {"form": form, "group": renamed}
    status = 422 if form.errors else 200
    return render(request, "users/rename_group.html", context, status=status)


@admins_only
@require_http_methods(["GET", "POST"])
def add_members(request: PortalRequest, pk: int) -> HttpResponse:
    joined = get_object_or_404(Group, pk=pk)
    if directory := directory_of_group(joined):
        return _managed_elsewhere(request, joined, directory)
    form = AddMembersForm(
        request.POST if request.method == "POST" else None, is_draft="step" in request.POST
    )
    if form.is_bound and not form.is_draft and form.is_valid():
        try:
            added = services.add_group_members(
                **action_context(request), group=joined, users=list(form.cleaned_data["members"])
            )
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            plural = "" if len(added) == 1 else "s"
            messages.success(request, f"Added {len(added)} user{plural} to {joined.name}.")
            return redirect("users:group", pk=pk)
    context = {"form": form, "group": joined}
    status = 422 if form.errors else 200
    return render(request, "users/add_members.html", context, status=status)


@admins_only
@require_POST
def remove_member(request: PortalRequest, pk: int, user_pk: int) -> HttpResponse:
    left, user = get_object_or_404(Group, pk=pk), get_object_or_404(User, pk=user_pk)
    try:
        services.remove_group_member(**action_context(request), group=left, user=user)
    except UserError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, f"{user.name} is no longer a member of {left.name}.")
    return redirect("users:group", pk=pk)


def _managed_elsewhere(request: PortalRequest, group: Group, directory: str) -> HttpResponse:
    messages.info(request, f"{directory} manages this group. Change its name and members there.")
    return redirect("users:group", pk=group.pk)
