"""MFA reset with its effects on approvals and access."""

from django.db import transaction

from apono_portal.core.web.client import ClientInfo
from apono_portal.users.models import User
from apono_portal.users.services.passwords import Invitation, void_password
from mfa.reset import reset_mfa
from mfa.verification.window import Window
from requests_app.approvals.invalidation import remove_voided_approvals_of
from requests_app.grants.revocation import revoke_all_access_of


def reset_mfa_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    reason: str,
    revoke_access: bool,
    client_info: ClientInfo,
    require_new_password: bool = False,
) -> Invitation | None:
    """Reset a user's MFA as `mfa.reset.reset_mfa` does, and revoke access if ``revoke_access``.

    Requests the user approved that are not active yet need a new approval. ``require_new_password``
    voids the password, which may be stolen: whoever has it could set up MFA in the user's place.
    Returns the link to set a new one.
    """
    with transaction.atomic():
        reset_mfa(
            actor=actor,
            user=user,
            reason=reason,
            window=window,
            client_info=client_info,
            revoke_access=revoke_access,
            require_new_password=require_new_password,
        )
        remove_voided_approvals_of(user=user)
        if revoke_access:
            revoke_all_access_of(
                user=user, actor=actor, reason="MFA was reset.", client_info=client_info
            )
        if not require_new_password:
            return None
        return void_password(actor=actor, user=user, client_info=client_info)
