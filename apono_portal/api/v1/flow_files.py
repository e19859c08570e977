"""Access flows as code: export, plan, and apply."""

from typing import Any

from ninja import Router

from accessflows.flows.files.plan import FlowSource, make_plan, read_plan
from accessflows.flows.files.services import apply_plan
from accessflows.flows.files.writer import export_flows
from accessflows.models import AccessFlow
from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.exceptions import TokenError
from apono_portal.api.flow_plans.selectors import confirmed_plan_window
from apono_portal.api.flow_plans.services import await_confirmation
from apono_portal.api.problems import CHANGES, ERRORS, Problem, mfa_problem
from apono_portal.api.scopes import Scope
from apono_portal.api.v1 import schemas
from apono_portal.core.web.absolute_urls import absolute_url
from mfa.exceptions import WindowClosed
from requests_app.flow_plans import describe_plan, plan_text

router = Router(tags=["Flows"])
Result = dict[str, Any]
WRITE_FLOWS = BearerToken(Scope.FLOWS_WRITE, admins_only=True)


@router.get(
    "/flows/export",
    auth=BearerToken(Scope.FLOWS_READ, readers_only=True),
    response={200: schemas.FlowFileOut, ERRORS: schemas.ProblemOut},
    summary="Export access flows as YAML",
)
def export_flow_file(request: ApiRequest) -> Result:
    return {"document": export_flows(AccessFlow.objects.all())}


@router.post(
    "/flows/plan",
    auth=WRITE_FLOWS,
    response={200: schemas.SignedPlanOut, ERRORS: schemas.ProblemOut},
    summary="Show what applying a file would change",
)
def plan_flow_file(request: ApiRequest, body: schemas.PlanIn) -> Result:
    """Change nothing."""
    plan = make_plan(
        FlowSource(document=body.document, file=body.file, commit=body.commit, missing=body.missing)
    )
    return {**describe_plan(plan), "text": plan_text(plan), "plan": plan.as_text()}


@router.post(
    "/flows/apply",
    auth=WRITE_FLOWS,
    response={200: schemas.PlanOut, CHANGES: schemas.ProblemOut},
    summary="Apply a plan",
)
def apply_flow_plan(request: ApiRequest, body: schemas.ApplyIn) -> Result:
    """Your confirmation of this plan in a browser comes first, at ``step_up_url``; then call again."""
    read_plan(body.plan)
    user, token = request.auth.user, request.auth
    try:
        applied = apply_plan(
            actor=user,
            window=confirmed_plan_window(token, body.plan),
            plan=body.plan,
            client_info=client_of(request),
        )
    except WindowClosed as refusal:
        raise mfa_problem(refusal, _confirm_url(request, body.plan)) from None
    return describe_plan(applied)


def _confirm_url(request: ApiRequest, plan: str) -> str:
    """Return where the admin confirms a plan, which is kept for that."""
    token = request.auth
    try:
        waiting = await_confirmation(token=token, plan=plan, client_info=client_of(request))
    except TokenError as error:
        raise Problem(409, "conflict", error.sentence) from None
    return absolute_url("api:confirm_plan", token.pk, waiting.pk)
