"""Creating and revoking tokens, and confirming that one may act on a request."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accessflows.permissions import require_admin
from apono_portal.api.exceptions import TokenError
from apono_portal.api.models import (
    MAX_AGENT_LIFETIME,
    MAX_LIFETIME,
    ApiToken,
    TokenConfirmation,
)
from apono_portal.api.scopes import AGENT_SCOPES, Scope
from apono_portal.api.tokens.secrets import SHOWN_LENGTH, hash_of, new_secret
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.services import record
from mfa import emails
from mfa.models import Strength
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state, lock_states
from mfa.verification.strength import Requirement
from mfa.verification.window import Window
from requests_app.models import AccessRequest

if TYPE_CHECKING:
    from apono_portal.users.models import User

MAX_TOKENS = 20


@dataclass(frozen=True)
class NewToken:
    """A token and its secret, which is shown once."""

    token: ApiToken
    secret: str = field(repr=False)


@dataclass(frozen=True)
class TokenTerms:
    """What a new token is called, may be used for, and for how long; and whether an AI agent gets it."""

    name: str
    scopes: Collection[Scope]
    lifetime: timedelta
    is_agent: bool = False


def create_token(
    *, actor: "User", terms: TokenTerms, window: Window | None, client_info: ClientInfo
) -> NewToken:
    """Create a token of the actor's. Raises `WindowClosed`, and `TokenError` beyond a limit."""
    _check(terms)
    _require_browser(client_info)
    with transaction.atomic():
        require_evidence(user=actor, window=window)
        return _create(actor, actor, terms, client_info)


def create_service_token(
    *,
    actor: "User",
    account: "User",
    terms: TokenTerms,
    window: Window | None,
    client_info: ClientInfo,
) -> NewToken:
    """Create a token of a service account, as an admin. Raises as `create_token` does."""
    _check(terms)
    _require_browser(client_info)
    if terms.is_agent:
        raise TokenError("Service accounts have no AI agents.")
    with transaction.atomic():
        lock_states(actor.pk, account.pk)
        require_admin(actor=actor, window=window)
        if not account.is_service or not account.is_active:
            raise TokenError("This is no active service account.")
        return _create(actor, account, terms, client_info)


def _check(terms: TokenTerms) -> None:
    if not terms.scopes:
        raise TokenError("Select at least one scope.", field="scopes")
    longest = MAX_AGENT_LIFETIME if terms.is_agent else MAX_LIFETIME
    if not timedelta(0) < terms.lifetime <= longest:
        raise TokenError(f"This token lasts at most {longest.days} days.", field="days")
    if terms.is_agent and not set(terms.scopes) <= set(AGENT_SCOPES):
        raise TokenError("AI agents cannot have all of these scopes.", field="scopes")


def _require_browser(client_info: ClientInfo) -> None:
    """Refuse a token that would make or confirm tokens, whatever called."""
    if client_info.token is not None:
        raise TokenError("Tokens are created and confirmed by their user, in a browser.")


def _create(actor: "User", user: "User", terms: TokenTerms, client_info: ClientInfo) -> NewToken:
    now, epoch, secret = timezone.now(), lock_state(user.pk).epoch, new_secret()
    if ApiToken.objects.of(user).filter(epoch=epoch).not_over(now).count() >= MAX_TOKENS:
        raise TokenError(f"There are {MAX_TOKENS} tokens already. Revoke one first.")
    token = ApiToken(
        user=user,
        name=terms.name,
        is_agent=terms.is_agent,
        prefix=secret[:SHOWN_LENGTH],
        token_hash=hash_of(secret),
        scopes=sorted(terms.scopes),
        epoch=epoch,
        created_at=now,
        created_by_label=str(actor),
        expires_at=now + terms.lifetime,
    )
    token.sign().save(force_insert=True)
    event = record(
        event=EventName.TOKEN_CREATE,
        actor=actor,
        target=token,
        client_info=client_info,
        metadata={
            "user": str(user),
            "scopes": token.scopes,
            "expires_at": token.expires_at,
            "prefix": token.prefix,
            **({"agent": True} if token.is_agent else {}),
        },
    )
    emails.token_created(
        event=event, user=user, name=token.name, is_agent=token.is_agent, client_info=client_info
    )
    return NewToken(token, secret)


def revoke_token(
    *, actor: "User", token: ApiToken, window: Window | None, client_info: ClientInfo
) -> bool:
    """Revoke a token, of the actor's own or, for an admin, anybody's. Returns whether it was in force.

    Taking one's own rights away needs no verification; an admin is checked as everywhere.
    """
    with transaction.atomic():
        if token.user_id != actor.pk:
            require_admin(actor=actor, window=window)
        token = ApiToken.objects.select_for_update(of=("self",)).get(pk=token.pk)
        if token.revoked_at is not None:
            return False
        token.revoked_at, token.revoked_by_label = timezone.now(), str(actor)
        token.sign().save(update_fields=["revoked_at", "revoked_by_label", "mac"])
        record(
            event=EventName.TOKEN_REVOKE,
            actor=actor,
            target=token,
            client_info=client_info,
            metadata={"user": str(token.user), "prefix": token.prefix},
        )
    return True


def confirm_token(
    *,
    actor: "User",
    token: ApiToken,
    request: AccessRequest,
    window: Window | None,
    client_info: ClientInfo,
) -> TokenConfirmation:
    """Let a token act on the actor's own request until the window closes.

    Raises `WindowClosed` where the window is not enough for the request, and `TokenError`.
    """
    if token.user_id != actor.pk or request.requester_id != actor.pk:
        raise TokenError("This is not your token, or not your request.")
    if not token.may_see(request):
        raise TokenError(f"The AI agent {token.name} did not request {request.reference}.")
    _require_browser(client_info)
    with transaction.atomic():
        requirement = Requirement(Strength(request.mfa_strength))
        verification = require_evidence(user=actor, window=window, requirement=requirement)
        if token.void_reason:
            raise TokenError(f"{token.name} no longer works. {token.void_reason}.")
        confirmation = TokenConfirmation(token=token, request=request, verification=verification)
        confirmation.sign().save(force_insert=True)
        record(
            event=EventName.TOKEN_CONFIRM,
            actor=actor,
            target=token,
            request=request,
            client_info=client_info,
            metadata={
                "verification": verification.pk,
                "until": verification.window_closes_at,
                "prefix": token.prefix,
            },
        )
    return confirmation
