"""Groups."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import ChangeGroupForm, GroupForm
from apono_portal.users.ownership import directory_of_group
from apono_portal.users.selectors import group_rows

PAGE_SIZE = 50


@readers_only
@require_GET
def group_list(request: PortalRequest) -> HttpResponse:
    page = Paginator(group_rows(), PAGE_SIZE).get_page(request.GET.get("page"))
    return render(request, "users/groups.html", {"page": page})


@admins_only
@require_http_methods(["GET", "POST"])
def create(request: PortalRequest) -> HttpResponse:
    form = GroupForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            group = services.create_group(**action_context(request), **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Added {group.name}.")
            return redirect("users:groups")
    return _form_page(request, form, group=None)


@admins_only
@require_http_methods(["GET", "POST"])
def edit(request: PortalRequest, pk: int) -> HttpResponse:
    group = get_object_or_404(Group, pk=pk)
    if directory := directory_of_group(group):
        return _managed_page(request, group, directory)
    initial = {
        "name": group.name,
        "members": group.user_set.all(),
        "seen": services.group_digest(group),
    }
    form = ChangeGroupForm(request.POST if request.method == "POST" else None, initial=initial)
    if form.is_bound and form.is_valid():
        try:
            services.change_group(**action_context(request), group=group, **form.cleaned_data)
        except UserError as error:
            form.add_error(error.field or None, error.sentence)
        else:
            messages.success(request, f"Saved {form.cleaned_data['name']}.")
            return redirect("users:groups")
    return _form_page(request, form, group=group)


def _managed_page(request: PortalRequest, group: Group, directory: str) -> HttpResponse:
    """Show a group that only its directory changes."""
    members = Paginator(group.user_set.order_by("name", "email"), PAGE_SIZE)
    context = {
        "group": group,
        "directory": directory,
        "page": members.get_page(request.GET.get("page")),
    }
    return render(request, "users/managed_group.html", context)


def _form_page(request: PortalRequest, form: GroupForm, *, group: Group | None) -> HttpResponse:
    context = {"form": form, "group": group}
    return render(request, "users/group_form.html", context, status=422 if form.errors else 200)
