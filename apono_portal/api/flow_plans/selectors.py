"""The window with which a user's confirmation lets a token apply a plan."""

from apono_portal.api.flow_plans.services import hash_of_plan
from apono_portal.api.models import ApiToken, PlanConfirmation
from apono_portal.api.tokens.selectors import window_of
from mfa.verification.window import Window


def confirmed_plan_window(token: ApiToken, plan: str) -> Window | None:
    """Return the window of the verification that confirmed exactly this plan, if one did.

    Whoever uses it checks it under the lock, as any other.
    """
    rows = PlanConfirmation.objects.filter(token=token, plan_hash=hash_of_plan(plan))
    confirmation = rows.select_related("verification").first()
    if confirmation is None or confirmation.verification is None or not confirmation.is_authentic:
        return None
    return window_of(token.user, confirmation.verification)
