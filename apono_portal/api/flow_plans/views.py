"""The page on which an admin confirms that a token may apply a plan of access flows."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accessflows.acting import action_context
from accessflows.exceptions import Refused
from accessflows.flows.files.plan import make_plan, read_plan
from apono_portal.api.exceptions import TokenError
from apono_portal.api.flow_plans.services import confirm_plan
from apono_portal.api.models import PlanConfirmation
from apono_portal.core.web.permissions import admins_only
from apono_portal.core.web.types import PortalRequest
from mfa.decorators import mfa_required
from requests_app.flow_plans import plan_text


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@mfa_required
@admins_only
def confirm(request: PortalRequest, pk: int, plan_pk: int) -> HttpResponse:
    """Show what the plan changes now, and let the token apply it."""
    rows = PlanConfirmation.objects.select_related("token__user__mfa_state")
    confirmation = get_object_or_404(rows, pk=plan_pk, token=pk, token__user=request.user)
    if confirmation.token.void_reason:
        raise Http404
    try:
        source, digest = read_plan(confirmation.plan)
        plan = make_plan(source)
    except Refused as refused:
        messages.error(request, refused.sentence)
        return redirect("flows:list")
    if plan.digest != digest:
        messages.error(
            request, "Access flows or users changed since this plan was made. Plan again."
        )
        return redirect("flows:list")
    if request.method == "POST":
        try:
            confirm_plan(**action_context(request), confirmation=confirmation)
        except TokenError as error:
            messages.error(request, error.sentence)
        else:
            messages.success(request, f"{confirmation.token.name} can apply this plan now.")
        return redirect("flows:list")
    context = {"token": confirmation.token, "plan": plan, "text": plan_text(plan)}
    return render(request, "api/confirm_plan.html", context)
