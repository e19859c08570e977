"""Every write on access requests and grants."""

from requests_app.services.activation import begin_activation
from requests_app.services.credentials import reset_credential, reveal_credential
from requests_app.services.decisions import decide_request
from requests_app.services.ending import (
    cancel_request,
    end_access,
    end_all_access_of,
    lapse_overdue,
)
from requests_app.services.escalation import escalate_due
from requests_app.services.extension import extend_access
from requests_app.services.flow_deletion import delete_flow
from requests_app.services.integration_deletion import delete_integration
from requests_app.services.step_up import step_up
from requests_app.services.submission import submit_request, submit_requests
from requests_app.services.void_approvals import drop_void_approvals_of

__all__ = [
    "begin_activation",
    "cancel_request",
    "decide_request",
    "delete_flow",
    "delete_integration",
    "drop_void_approvals_of",
    "end_access",
    "end_all_access_of",
    "escalate_due",
    "extend_access",
    "lapse_overdue",
    "reset_credential",
    "reveal_credential",
    "step_up",
    "submit_request",
    "submit_requests",
]
