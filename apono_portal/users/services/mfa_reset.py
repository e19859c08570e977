"""Resetting somebody's MFA, and ending their access with it if wanted."""

from django.db import transaction

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.models import User
from mfa.reset import reset_mfa
from mfa.verification.window import Window
from requests_app.approvals.invalidation import drop_void_approvals_of
from requests_app.grants.revocation import revoke_all_access_of


def reset_mfa_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    reason: str,
    revoke_access: bool,
    client_info: ClientInfo,
) -> None:
    """Reset a person's MFA as `mfa.reset.reset_mfa` does, and end open access if ``revoke_access``.

    What the person approved and is not open yet waits for approval again.
    """
    with transaction.atomic():
        reset_mfa(
            actor=actor,
            user=user,
            reason=reason,
            window=window,
            client_info=client_info,
            revoke_access=revoke_access,
        )
        drop_void_approvals_of(user=user)
        if revoke_access:
            revoke_all_access_of(
                user=user, actor=actor, reason="MFA was reset.", client_info=client_info
            )
