"""Resetting somebody's MFA, and ending their access with it if wanted."""

from django.db import transaction

from apono_portal.users.models import User
from audit.origin import Origin
from mfa.services import reset_mfa
from mfa.window import Window
from requests_app.services import drop_void_approvals_of, end_all_access_of


def reset_mfa_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    reason: str,
    end_access: bool,
    origin: Origin,
) -> None:
    """Reset a person's MFA as `mfa.services.reset_mfa` does, and end open access if ``end_access``.

    What the person approved and is not open yet waits for approval again.
    """
    with transaction.atomic():
        reset_mfa(
            actor=actor,
            user=user,
            reason=reason,
            window=window,
            origin=origin,
            end_access=end_access,
        )
        drop_void_approvals_of(user=user)
        if end_access:
            end_all_access_of(user=user, actor=actor, reason="MFA was reset.", origin=origin)
