"""Importing users from a CSV file: choose it, review what will happen, import."""

from collections.abc import Collection

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accessflows.acting import action_context
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from apono_portal.users.exceptions import UserError
from apono_portal.users.imports.csv_file import COLUMNS, GROUP_SEPARATOR, ImportRow
from apono_portal.users.imports.forms import ImportFileForm
from apono_portal.users.imports.preview import open_preview, plan_import, sign_preview
from apono_portal.users.imports.services import PreviewOutdated, import_users


@admins_only
@require_http_methods(["GET", "POST"])
def choose_file(request: PortalRequest) -> HttpResponse:
    """Show the form, and for a file the preview of its import. Nothing is saved."""
    is_post = request.method == "POST"
    form = ImportFileForm(request.POST, request.FILES) if is_post else ImportFileForm()
    if form.is_bound and form.is_valid():
        return _preview_page(request, form.cleaned_data["file"])
    context = {"form": form, "columns": COLUMNS, "separator": GROUP_SEPARATOR}
    status = 422 if form.errors else 200
    return render(request, "users/import.html", context, status=status)


@admins_only
@require_POST
def apply(request: PortalRequest) -> HttpResponse:
    """Import the users of a preview as it was shown."""
    try:
        rows, seen = open_preview(request.POST.get("preview", ""), admin=request.user)
    except UserError as error:
        messages.error(request, error.sentence)
        return redirect("users:import")
    try:
        outcome = import_users(**action_context(request), rows=rows, seen=seen)
    except PreviewOutdated as error:
        return _preview_page(request, rows, notice=error.sentence)
    except UserError as error:
        return _preview_page(request, rows, notice=f"Nothing was imported. {error.sentence}")
    return render(request, "users/imported.html", {"outcome": outcome})


def _preview_page(
    request: PortalRequest, rows: Collection[ImportRow], *, notice: str = ""
) -> HttpResponse:
    plan = plan_import(rows)
    context = {
        "plan": plan,
        "preview": sign_preview(rows, plan, admin=request.user),
        "notice": notice,
        "sends_email": settings.EMAIL_CONFIGURED,
    }
    status = 409 if notice else 200
    return render(request, "users/import_preview.html", context, status=status)
