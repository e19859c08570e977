"""What admins do to several users at once: selected in the list, confirmed on a page, summed up on another."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users import services
from apono_portal.users.exceptions import UserError
from apono_portal.users.forms import AddSelectedForm, ResetSelectedForm, SelectedUsersForm
from apono_portal.users.models import User
from apono_portal.users.services.bulk import BulkOutcome, deactivate_users, reset_mfa_of_users
from requests_app.models import LIVE, AccessRequest

NOBODY = "Select at least one user."


@admins_only
@require_http_methods(["GET", "POST"])
def deactivate(request: PortalRequest) -> HttpResponse:
    users = _selected(request)
    if not users:
        return redirect("users:list")
    if request.method == "GET":
        return _confirm(request, "deactivate_selected", users)
    outcome = deactivate_users(**action_context(request), users=users)
    return _summary(request, "Deactivated", outcome)


@admins_only
@require_http_methods(["GET", "POST"])
def reset_mfa(request: PortalRequest) -> HttpResponse:
    users = _selected(request)
    if not users:
        return redirect("users:list")
    form = ResetSelectedForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        outcome = reset_mfa_of_users(**action_context(request), users=users, **form.cleaned_data)
        return _summary(request, "MFA reset", outcome)
    return _confirm(request, "reset_mfa_of_selected", users, form)


@admins_only
@require_http_methods(["GET", "POST"])
def add_to_group(request: PortalRequest) -> HttpResponse:
    users = _selected(request)
    if not users:
        return redirect("users:list")
    form = AddSelectedForm(
        request.POST if request.method == "POST" else None, is_draft="step" in request.POST
    )
    if form.is_bound and not form.is_draft and form.is_valid():
        group = form.cleaned_data["group"]
        try:
            joined = services.add_group_members(**action_context(request), group=group, users=users)
        except UserError as error:
            form.add_error("group", error.sentence)
        else:
            refused = [(user, "Already a member.") for user in users if user not in joined]
            return _summary(request, f"Added to {group.name}", BulkOutcome(joined, refused))
    return _confirm(request, "add_selected_to_group", users, form)


def _selected(request: PortalRequest) -> list[User]:
    """Return the users that a form names; without any, a message says why there are none."""
    data = request.POST if request.method == "POST" else request.GET
    form = SelectedUsersForm(data)
    if form.is_valid():
        users: list[User] = form.cleaned_data["user"]
        return users
    messages.warning(request, str(form.errors["user"][0]) if "user" in data else NOBODY)
    return []


def _confirm(
    request: PortalRequest,
    name: str,
    users: list[User],
    form: ResetSelectedForm | AddSelectedForm | None = None,
) -> HttpResponse:
    live = AccessRequest.objects.filter(requester__in=users, status__in=LIVE).count()
    context = {"users": users, "form": form, "live_requests": live}
    status = 422 if form is not None and form.errors else 200
    return render(request, f"users/{name}.html", context, status=status)


def _summary(request: PortalRequest, title: str, outcome: BulkOutcome) -> HttpResponse:
    return render(request, "users/bulk_summary.html", {"title": title, "outcome": outcome})
