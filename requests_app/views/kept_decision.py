"""A decision that waits for its approver's verification.

The session keeps what was chosen for a quarter of an hour. The pages that verify show it, and it is
recorded after the code with which it was shown: bound to what the approver saw when choosing it.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.crypto import constant_time_compare, get_random_string

from apono_portal.core.web.client import ClientInfo
from apono_portal.core.web.next_page import url_with_next
from apono_portal.core.web.types import PortalRequest
from mfa.exceptions import WindowClosed
from requests_app.approvals.selectors import request_to_decide
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.models import AccessRequest, Decision, Status
from requests_app.presenters.request import title_of
from requests_app.views.responses import needs_of

SESSION_KEY = "kept_decision"
LIFETIME = timedelta(minutes=15)
MAX_REASON_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """What was chosen, about what, and the token of the page that shows it."""

    request_id: int
    verdict: str
    reason: str
    fingerprint: str
    digest: str
    chosen_at: str
    token: str

    @property
    def kept_until(self) -> datetime:
        return datetime.fromisoformat(self.chosen_at) + LIFETIME


@dataclass(frozen=True, slots=True)
class KeptDecisionRow:
    """A kept decision as the pages that verify show it."""

    decision: KeptDecision
    request: AccessRequest

    @property
    def approves(self) -> bool:
        return self.decision.verdict == Decision.Verdict.APPROVE

    @property
    def title(self) -> str:
        return title_of(self.request)


def keep_decision(
    request: HttpRequest, access_request: AccessRequest, verdict: Decision.Verdict, form: Any
) -> None:
    """Keep what was chosen, in place of any earlier choice."""
    decision = KeptDecision(
        request_id=access_request.pk,
        verdict=verdict.value,
        reason=form["reason"][:MAX_REASON_LENGTH],
        fingerprint=form["fingerprint"],
        digest=form["digest"],
        chosen_at=timezone.now().isoformat(),
        token=get_random_string(22),
    )
    request.session[SESSION_KEY] = asdict(decision)


def kept_decision(request: HttpRequest) -> KeptDecision | None:
    """Return what this session keeps, None once its time is over."""
    try:
        decision = KeptDecision(**request.session.get(SESSION_KEY, {}))
    except TypeError:
        return None
    return decision if decision.kept_until > timezone.now() else None


def forget_decision(request: HttpRequest) -> None:
    request.session.pop(SESSION_KEY, None)


def kept_decision_row(request: PortalRequest) -> KeptDecisionRow | None:
    """Return the kept decision with its request, None if the user may not decide on it any more."""
    decision = kept_decision(request)
    if decision is None:
        return None
    access_request = request_to_decide(request.user, decision.request_id)
    if access_request is None or access_request.status != Status.PENDING_APPROVAL:
        return None
    return KeptDecisionRow(decision, access_request)


def record_kept_decision(request: PortalRequest) -> str:
    """Record the decision that the verifying page showed, and return where to continue.

    Returns "" if the page showed none or it was left out. It is refused as any decision is, with the
    reason as a message; where its flow demands more, it is kept for a verification that is enough.
    """
    token = request.POST.get("decision", "")
    if not token or "leave_out_decision" in request.POST:
        return ""
    row = kept_decision_row(request)
    if row is None or not constant_time_compare(token, row.decision.token):
        messages.warning(request, "Your decision was not recorded. Review the request again.")
        return resolve_url("requests:approvals")
    forget_decision(request)
    verdict = Decision.Verdict(row.decision.verdict)
    try:
        decided = decide_request(
            actor=request.user,
            request=row.request,
            verdict=verdict,
            reason=row.decision.reason,
            fingerprint=row.decision.fingerprint,
            digest=row.decision.digest,
            window=request.mfa.window,
            client_info=ClientInfo.of(request),
        )
    except WindowClosed as refusal:
        request.session[SESSION_KEY] = asdict(row.decision)
        messages.warning(request, f"Your decision was not recorded yet. {refusal}")
        next_url = resolve_url("requests:decide", pk=row.request.pk)
        return url_with_next("requests:step_up", next_url, needs=needs_of([row.request]))
    except (Conflict, RequestRefused) as refusal:
        messages.error(request, f"Your decision was not recorded. {refusal.sentence}")
        return resolve_url("requests:decide", pk=row.request.pk)
    messages.success(request, outcome_of(decided, verdict))
    return resolve_url("requests:approvals")


def outcome_of(decided: AccessRequest, verdict: Decision.Verdict) -> str:
    """Return what became of a request by a decision."""
    if verdict == Decision.Verdict.REJECT:
        return f"{decided.reference} was rejected."
    if decided.status == Status.PENDING_APPROVAL:
        return f"You approved {decided.reference}. It is waiting for other approvers."
    return f"{decided.reference} was approved. Access is being provisioned."
