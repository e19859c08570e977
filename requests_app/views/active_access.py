"""Active Access: who has access to what now, for admins and auditors; admins revoke it."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from accessflows.acting import action_context
from accessflows.models import AccessFlow, Integration
from apono_portal.core.web.kept_forms import kept_words
from apono_portal.core.web.permissions import admins_only, readers_only
from apono_portal.core.web.types import PortalRequest
from requests_app.active_access.forms import (
    ActiveAccessForm,
    RevocationReasonForm,
    SelectedRequestsForm,
)
from requests_app.active_access.selectors import (
    ActiveAccessFilters,
    Selection,
    access_on,
    count_text_of,
    filter_grants,
    page_of_grants,
    selection_of,
)
from requests_app.active_access.services import (
    RevocationOutcome,
    revoke_everything_on,
    revoke_selected_access,
)
from requests_app.activity.selectors import names_to_suggest
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.presenters.active_access import active_grant_row


@require_safe
@readers_only
@never_cache
def active_access(request: PortalRequest) -> HttpResponse:
    form, now = ActiveAccessForm(request.GET), timezone.now()
    if not form.is_valid():
        return render(request, "requests_app/active_access.html", {"form": form}, status=422)
    data, filters = form.cleaned_data, form.filters(now)
    grants = filter_grants(filters)
    page = page_of_grants(grants, before=data["before"], after=data["after"])
    context = {
        "form": form,
        "page": page,
        "rows": [active_grant_row(grant, now) for grant in page.rows],
        "total": count_text_of(grants) if page.rows else "",
        "names": names_to_suggest(),
        "now": now,
        **_named_in(filters),
    }
    return render(request, "requests_app/active_access.html", context)


def _named_in(filters: ActiveAccessFilters) -> dict[str, object]:
    """Return the user, flow and integration that a "Show all" link names."""
    users, flows = get_user_model()._default_manager, AccessFlow.objects
    user, flow, integration = filters.user_id, filters.flow_id, filters.integration_id
    return {
        "only_user": users.filter(pk=user).first() if user is not None else None,
        "only_flow": flows.filter(pk=flow).first() if flow is not None else None,
        "only_integration": Integration.objects.filter(pk=integration).first()
        if integration is not None
        else None,
    }


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def revoke(request: PortalRequest) -> HttpResponse:
    """Show what is selected and ask for a reason; with one, revoke it."""
    is_post = request.method == "POST"
    selected = SelectedRequestsForm(request.POST if is_post else request.GET)
    ids = selected.cleaned_data["request"] if selected.is_valid() else []
    form = RevocationReasonForm(request.POST if is_post else None)
    selection = selection_of(ids)
    if not selection.revocable:
        messages.warning(request, _nothing_to_revoke(selected, selection))
        return redirect("requests:active_access")

    def revoke_selected(reason: str) -> None:
        outcome = revoke_selected_access(**action_context(request), request_ids=ids, reason=reason)
        _report_outcome(request, outcome)

    if _revoke_if_valid(request, form, revoke_selected):
        return redirect("requests:active_access")
    context = {"form": form, "selection": selection}
    status = 422 if form.errors else 200
    return render(request, "requests_app/revoke_selected.html", context, status=status)


def _revoke_if_valid(
    request: PortalRequest, form: RevocationReasonForm, revoke_for: Callable[[str], None]
) -> bool:
    """Revoke with the reason in the form, and return whether to leave the page.

    A refusal goes to the form; where someone else acted first, a message says so.
    """
    if not form.is_valid():
        return False
    try:
        revoke_for(form.cleaned_data["reason"])
    except RequestRefused as refusal:
        form.add_error(refusal.field or None, refusal.sentence)
        return False
    except Conflict as conflict:
        messages.warning(request, conflict.sentence)
    return True


def _nothing_to_revoke(form: SelectedRequestsForm, selection: Selection) -> str:
    if form.errors:
        return str(form.errors["request"][0])
    if selection.others:
        return "Nothing was changed: this access has already ended."
    return "Select the access to revoke."


def _report_outcome(request: PortalRequest, outcome: RevocationOutcome) -> None:
    names = ", ".join(revoked.reference for revoked in outcome.revoked)
    verb = "is" if len(outcome.revoked) == 1 else "are"
    messages.success(request, f"{names} {verb} being revoked. Open sessions are terminated.")
    if outcome.unchanged:
        ended = ", ".join(unchanged.reference for unchanged in outcome.unchanged)
        messages.info(request, f"Already ended, and not changed: {ended}.")


@admins_only
@never_cache
@require_http_methods(["GET", "POST"])
def revoke_on_integration(request: PortalRequest, pk: int) -> HttpResponse:
    """Show how much access on an integration ends and ask for a reason; with one, revoke it all."""
    integration = get_object_or_404(Integration, pk=pk)
    form = RevocationReasonForm(
        request.POST if request.method == "POST" else None,
        initial=kept_words(request, "reason"),
    )

    def revoke_everything(reason: str) -> None:
        number = revoke_everything_on(
            **action_context(request), integration=integration, reason=reason
        )
        plural = "" if number == 1 else "s"
        messages.success(
            request,
            f"The access of {number:,} request{plural} on {integration.name} is being revoked. "
            "Open sessions are terminated.",
        )

    if _revoke_if_valid(request, form, revoke_everything):
        return redirect("requests:active_access")
    access = access_on(integration)
    if not access.requests:
        messages.warning(request, f"Nobody has access on {integration.name} now.")
        return redirect("requests:active_access")
    context = {"form": form, "integration": integration, "access": access}
    status = 422 if form.errors else 200
    return render(request, "requests_app/revoke_integration.html", context, status=status)
