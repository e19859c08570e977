"""The caller's approvals queue, and decisions."""

from typing import Any

from django.db.models import prefetch_related_objects
from django.http import Http404
from ninja import Router

from apono_portal.api.authentication import ApiRequest, BearerToken, client_of
from apono_portal.api.problems import CHANGES, ERRORS, mfa_problem
from apono_portal.api.scopes import Scope
from apono_portal.api.v1 import schemas
from apono_portal.api.v1.descriptions import describe_request
from apono_portal.core.web.absolute_urls import absolute_url
from mfa.exceptions import WindowClosed
from requests_app.approvals.review import review_digest
from requests_app.approvals.selectors import queue_of, request_to_decide, rights_of
from requests_app.approvals.services import APPROVE, REJECT, decide_request
from requests_app.models import AccessRequest, Decision

router = Router(tags=["Approvals"])


@router.get(
    "/approvals",
    auth=BearerToken(Scope.APPROVALS_READ),
    response={200: schemas.QueueOut, ERRORS: schemas.ProblemOut},
    summary="List requests waiting for your decision",
)
def list_approvals(request: ApiRequest) -> dict[str, Any]:
    """The oldest come first."""
    queue = queue_of(request.auth.user)
    prefetch_related_objects(queue, "targets")
    return {"items": [_review(waiting) for waiting in queue]}


@router.get(
    "/approvals/{request_id}",
    auth=BearerToken(Scope.APPROVALS_READ),
    response={200: schemas.ReviewOut, ERRORS: schemas.ProblemOut},
    summary="Review a request",
)
def read_approval(request: ApiRequest, request_id: schemas.Id) -> dict[str, Any]:
    return _review(_to_decide(request, request_id))


@router.post(
    "/approvals/{request_id}/approve",
    auth=BearerToken(Scope.APPROVALS_WRITE),
    response={200: schemas.RequestOut, CHANGES: schemas.ProblemOut},
    summary="Approve a request",
)
def approve(
    request: ApiRequest, request_id: schemas.Id, body: schemas.DecisionIn
) -> dict[str, Any]:
    """A flow that requires MFA requires it of approvers, too: approve at the ``step_up_url``."""
    return _decide(request, request_id, body, APPROVE)


@router.post(
    "/approvals/{request_id}/reject",
    auth=BearerToken(Scope.APPROVALS_WRITE),
    response={200: schemas.RequestOut, CHANGES: schemas.ProblemOut},
    summary="Reject a request",
)
def reject(request: ApiRequest, request_id: schemas.Id, body: schemas.DecisionIn) -> dict[str, Any]:
    return _decide(request, request_id, body, REJECT)


def _to_decide(request: ApiRequest, pk: int) -> AccessRequest:
    access_request = request_to_decide(request.auth.user, pk)
    if access_request is None:
        raise Http404
    return access_request


def _decide(
    request: ApiRequest, pk: int, body: schemas.DecisionIn, verdict: Decision.Verdict
) -> dict[str, Any]:
    access_request = _to_decide(request, pk)
    try:
        decided = decide_request(
            actor=request.auth.user,
            request=access_request,
            verdict=verdict,
            reason=body.reason,
            fingerprint=body.fingerprint,
            digest=body.digest,
            window=None,
            client_info=client_of(request),
        )
    except WindowClosed as refusal:
        raise mfa_problem(refusal, absolute_url("requests:decide", access_request.pk)) from None
    return describe_request(decided)


def _review(waiting: AccessRequest) -> dict[str, Any]:
    rights = rights_of(waiting)
    return {
        "request": describe_request(waiting),
        "rights": {str(target): sentences for target, sentences in rights},
        "needs_verification": waiting.require_mfa,
        "reason_required": bool(waiting.flow and waiting.flow.require_approver_reason),
        "fingerprint": waiting.flow_fingerprint,
        "digest": review_digest(waiting, rights),
    }
