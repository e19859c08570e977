"""Errors of the API: problem details (RFC 9457), from the refusals of the services."""

import json
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from accessflows.exceptions import Refused
from accessflows.flows.files.reader import FileRefused
from accessflows.flows.files.services import StalePlan
from apono_portal.core.web.absolute_urls import absolute_url
from mfa.exceptions import MfaError, NotAllowed, WindowClosed
from requests_app.exceptions import Conflict, RequestRefused

CONTENT_TYPE = "application/problem+json"
NOT_FOUND = "Not found, or you do not have access to it."
# The errors that operations document: of those that read, and of those that change something.
ERRORS = frozenset({401, 403, 404, 422, 429})
CHANGES = ERRORS | {409}
MATCHED_CHANGES = CHANGES | {412}
TITLES = {
    400: "Malformed request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    422: "Refused",
    429: "Too many calls",
}


@dataclass
class Problem(Exception):
    """A response that is an error. ``code`` is for programs, ``detail`` a sentence for people."""

    status: int
    code: str
    detail: str
    extra: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


def problem_body(problem: Problem) -> dict[str, Any]:
    return {
        "type": f"urn:apono-portal:problem:{problem.code}",
        "title": TITLES.get(problem.status, "Error"),
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.extra,
    }


def problem_response(problem: Problem) -> HttpResponse:
    return HttpResponse(
        json.dumps(problem_body(problem)),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.headers,
    )


def mfa_problem(refusal: WindowClosed, step_up_url: str) -> Problem:
    """Return the refusal of what needs its user's verification in a browser, and where that is."""
    sentence = "This needs a verification by you, in a browser. Open step_up_url, then try again."
    if type(refusal) is not WindowClosed:
        sentence = f"{refusal} {sentence}"
    return Problem(403, "mfa_required", sentence, {"step_up_url": step_up_url})


def problem_of(error: Exception) -> Problem:
    """Return what a refusal of a service means to a client."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, WindowClosed):
        return mfa_problem(error, absolute_url("requests:step_up"))
    if isinstance(error, RequestRefused):
        return _refused(error)
    if isinstance(error, Refused):
        return _refused_flow(error)
    if isinstance(error, Conflict):
        return Problem(409, "conflict", error.sentence)
    if isinstance(error, Http404 | NotAllowed):
        return Problem(404, "not_found", NOT_FOUND)
    if isinstance(error, MfaError):
        return Problem(403, "mfa", str(error))
    if isinstance(error, ValidationError):
        return _invalid(error)
    if isinstance(error, HttpError):
        return _http_problem(error)
    raise error


def _refused(error: RequestRefused) -> Problem:
    """Return the first refusal, and where there are several, all of them as ``errors``."""
    extra: dict[str, Any] = {"field": error.field} if error.field else {}
    if len(error.refusals) > 1:
        extra["errors"] = [
            {"where": refusal.field, "message": refusal.sentence} for refusal in error.refusals
        ]
    return Problem(422, "refused", error.sentence, extra)


def _refused_flow(error: Refused) -> Problem:
    if isinstance(error, StalePlan):
        return Problem(409, "conflict", error.sentence)
    if isinstance(error, FileRefused):
        errors = [{"where": "document", "message": sentence} for sentence in error.errors]
        return Problem(422, "refused", error.errors[0], {"field": "document", "errors": errors})
    return Problem(422, "refused", error.sentence)


def _http_problem(error: HttpError) -> Problem:
    if error.status_code == 401:
        headers = {"WWW-Authenticate": "Bearer"}
        sentence = "Send a token that is in force: Authorization: Bearer apt_…"
        return Problem(401, "not_authenticated", sentence, headers=headers)
    return Problem(error.status_code, "malformed", "The request could not be read.")


def _invalid(error: ValidationError) -> Problem:
    """Return what is wrong where. What was sent is not repeated: it may be a secret."""
    errors = [
        {"where": ".".join(str(part) for part in one["loc"][1:]), "message": one["msg"]}
        for one in error.errors
    ]
    return Problem(422, "invalid", "Some of what you sent is not valid.", {"errors": errors})


def nowhere(request: HttpRequest, rest: str) -> HttpResponse:
    """Answer what is no operation as the operations answer what they do not find."""
    return problem_response(Problem(404, "not_found", NOT_FOUND))


def refusals() -> tuple[type[Exception], ...]:
    """Return what `problem_of` knows. Anything else is a fault, and Django's to report."""
    return (
        Problem,
        MfaError,
        RequestRefused,
        Refused,
        Conflict,
        Http404,
        HttpError,
        ValidationError,
    )


def install_handlers(api: NinjaAPI) -> None:
    """Answer every refusal as a problem."""

    def answer(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
        return problem_response(problem_of(error if isinstance(error, Exception) else error()))

    for kind in refusals():
        api.add_exception_handler(kind, answer)
