"""Confirming in a browser what a token wants to apply: a token is nobody's presence."""

import hashlib
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.permissions import require_admin
from apono_portal.api.exceptions import TokenError
from apono_portal.api.models import ApiToken, PlanConfirmation
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa.verification.evidence import require_evidence
from mfa.verification.window import Window

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_WAITING = 20  # plans of a token


def await_confirmation(*, token: ApiToken, plan: str, client_info: ClientInfo) -> PlanConfirmation:
    """Keep a plan for its admin to confirm, or return the row that is already there."""
    with transaction.atomic():
        ApiToken.objects.select_for_update(of=("self",)).get(pk=token.pk)
        plans = PlanConfirmation.objects.filter(token=token)
        plans.filter(at__lt=timezone.now() - PlanConfirmation.LIFETIME).delete()
        waiting = plans.filter(plan_hash=hash_of_plan(plan)).first()
        if waiting is not None:
            return waiting
        if plans.count() >= MAX_WAITING:
            raise TokenError(f"{MAX_WAITING} plans of this token await confirmation already.")
        waiting = PlanConfirmation(token=token, plan=plan, plan_hash=hash_of_plan(plan))
        waiting.sign().save(force_insert=True)
        record(
            event=EventName.TOKEN_AWAIT_PLAN,
            actor=token.user,
            target=token,
            client_info=client_info,
            metadata={"plan": waiting.plan_hash, "prefix": token.prefix},
        )
    return waiting


def confirm_plan(
    *,
    actor: "User",
    confirmation: PlanConfirmation,
    window: Window | None,
    client_info: ClientInfo,
) -> None:
    """Let a token of the actor's, an admin, apply a plan until the window closes.

    Raises `WindowClosed`, and `TokenError` for a token of someone else or one that no longer works.
    """
    token = confirmation.token
    if token.user_id != actor.pk:
        raise TokenError("This is not your token.")
    with transaction.atomic():
        require_admin(actor=actor, window=window)
        verification = require_evidence(user=actor, window=window)
        if token.void_reason:
            raise TokenError(f"{token.name} no longer works. {token.void_reason}.")
        if (
            not confirmation.is_authentic
            or hash_of_plan(confirmation.plan) != confirmation.plan_hash
        ):
            raise TokenError("This plan was altered. Apply it again.")
        confirmation.verification = verification
        confirmation.sign().save(update_fields=["verification", "mac"])
        record(
            event=EventName.TOKEN_CONFIRM_PLAN,
            actor=actor,
            target=token,
            client_info=client_info,
            metadata={
                "plan": confirmation.plan_hash,
                "verification": verification.pk,
                "until": verification.window_closes_at,
                "prefix": token.prefix,
            },
        )


def hash_of_plan(plan: str) -> str:
    return hashlib.sha256(plan.encode()).hexdigest()
