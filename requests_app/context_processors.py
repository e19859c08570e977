"""What every page shows of requests: counts in the navigation, the MFA banner, overdue revocations."""

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from accessflows.dual_control.selectors import count_pending
from accessflows.mfa_banner import mfa_banner
from requests_app.approvals.selectors import count_waiting_for
from requests_app.break_glass.selectors import count_to_review
from requests_app.grants.status import overdue_summary
from requests_app.selectors import names_of, pending_mfa_requests


def navigation(request: HttpRequest) -> dict[str, object]:
    """Return the counts, the banner and, for admins and auditors, what is overdue; nothing for visitors."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    pending = getattr(request, "pending_mfa_names", None)  # read by the view already
    if pending is None:
        pending = names_of(pending_mfa_requests(user))
    approvals = getattr(request, "approvals_waiting", None)
    if approvals is None:
        approvals = count_waiting_for(user)
    state = getattr(request, "mfa", None)
    return {
        "nav": {
            "pending_mfa": len(pending),
            "approvals": approvals,
            "reviews": count_to_review(user),
            "changes": count_pending(user),
            "dual_control": settings.DUAL_CONTROL,
        },
        "mfa_banner": mfa_banner(state, pending, user) if state else None,
        "overdue": overdue_summary(timezone.now()) if user.can_read_everything else None,
    }
