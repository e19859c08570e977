"""MFA reset with its effects on approvals and access."""

from functools import partial

from django.db import transaction

from accessflows.dual_control.actions import Confirmation, require_confirmation
from accessflows.permissions import require_admin
from apono_portal.core.web.client import ClientInfo
from apono_portal.sso.enforcement import may_use_password
from apono_portal.users import protection
from apono_portal.users.models import User
from apono_portal.users.services.passwords import Invitation, void_password
from mfa.reset import reset_mfa
from mfa.verification.locking import lock_states
from mfa.verification.policies import clean_reason
from mfa.verification.window import Window
from requests_app.approvals.invalidation import remove_voided_approvals, requests_decided_by
from requests_app.grants.revocation import revocable_requests_of, revoke_all_access_of
from requests_app.lifecycle import lock_requests
from requests_app.models import Status


def reset_mfa_of_user(
    *,
    actor: User,
    window: Window | None,
    user: User,
    reason: str,
    revoke_access: bool,
    client_info: ClientInfo,
    require_new_password: bool = False,
    confirmation: Confirmation | None = None,
) -> Invitation | None:
    """Reset a user's MFA as `mfa.reset.reset_mfa` does, and revoke access if ``revoke_access``.

    Requests the user approved that are not active yet need a new approval. ``require_new_password``
    voids the password, which may be stolen: whoever has it could set up MFA in the user's place.
    Returns the link to set a new one, None where single sign-on is enforced. Raises
    ConfirmationRequired for an admin.
    """
    reason = clean_reason(reason)
    reset = protection.Reset(
        reason=reason, revoke_access=revoke_access, require_new_password=require_new_password
    )
    with transaction.atomic():
        lock_states(actor.pk, user.pk)
        require_admin(actor=actor, window=window)
        user = User.objects.get(pk=user.pk)
        confirmed = require_confirmation(
            confirmation,
            weakenings=protection.admin_reset(user),
            describe=partial(protection.reset_of, user, reset),
        )
        reset_mfa(
            actor=actor,
            user=user,
            reason=reason,
            window=window,
            client_info=client_info,
            revoke_access=revoke_access,
            require_new_password=require_new_password and may_use_password(user),
            confirmed=confirmed,
        )
        _remove_voided_approvals(user, revoke_access=revoke_access)
        if revoke_access:
            revoke_all_access_of(
                user=user, actor=actor, reason="MFA was reset.", client_info=client_info
            )
        if not require_new_password:
            return None
        return void_password(actor=actor, user=user, client_info=client_info)


def _remove_voided_approvals(user: User, *, revoke_access: bool) -> None:
    """Delete the user's approvals of requests that still wait, under the locks of all the reset changes.

    One pass in the order of `lock_requests`: with two, for approvals and then for the user's own access,
    a reset and a revocation of many requests could each wait for what the other has locked.
    """
    decided = set(requests_decided_by(user).values_list("pk", flat=True))
    own = revocable_requests_of(user).values_list("pk", flat=True) if revoke_access else ()
    for pk, request in lock_requests({*decided, *own}).items():
        if pk in decided and request.status == Status.PENDING_APPROVAL:
            remove_voided_approvals(request=request)
