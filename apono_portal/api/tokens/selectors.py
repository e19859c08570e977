"""Reading tokens, and the window that a user's confirmation gives one."""

from typing import TYPE_CHECKING

from django.utils import timezone

from apono_portal.api.models import ApiToken, ApiTokenQuerySet, TokenConfirmation
from apono_portal.api.tokens.secrets import hash_of, is_well_formed
from mfa.models import Verification
from mfa.verification.window import Window
from requests_app.models import AccessRequest
from requests_app.selectors import own_requests

if TYPE_CHECKING:
    from apono_portal.users.models import User
    from requests_app.querysets import AccessRequestQuerySet

MAX_SHOWN = 50


def token_in_force(secret: str) -> ApiToken | None:
    """Return the token with its user, None unless it works now."""
    if not is_well_formed(secret):
        return None
    tokens = ApiToken.objects.select_related("user__mfa_state")
    token = tokens.filter(token_hash=hash_of(secret)).first()
    return token if token is not None and not token.void_reason else None


def tokens_of(user: "User") -> list[ApiToken]:
    """Return a user's tokens that are neither revoked nor expired, newest first."""
    tokens = ApiToken.objects.of(user).not_over(timezone.now())
    return list(tokens.select_related("user__mfa_state")[:MAX_SHOWN])


def all_tokens() -> ApiTokenQuerySet:
    """Return everybody's tokens that are neither revoked nor expired, newest first."""
    return ApiToken.objects.not_over(timezone.now()).select_related("user__mfa_state")


def requests_of(token: ApiToken) -> "AccessRequestQuerySet":
    """Return its user's requests; of an AI agent's token, those the agent made."""
    requests = own_requests(token.user)
    return requests.filter(token_id=token.pk) if token.is_agent else requests


def confirmed_window(token: ApiToken, request: AccessRequest) -> Window | None:
    """Return the window of the verification with which the user let this token act on this request.

    That is a confirmation, or the release of a request that the token itself has made. Whoever uses
    the window checks it under the lock, as any other.
    """
    confirmation = (
        TokenConfirmation.objects.filter(token=token, request=request)
        .select_related("verification")
        .first()
    )
    if confirmation is not None and confirmation.is_authentic:
        return window_of(token.user, confirmation.verification)
    if request.token_id == token.pk and request.is_authentic and request.verification is not None:
        return window_of(token.user, request.verification)
    return None


def window_of(user: "User", verification: Verification) -> Window:
    """Return the window that a user's verification opened, for a token that may use it."""
    return Window(
        user_id=verification.user_id,
        device_id=verification.device_id or 0,
        epoch=verification.epoch,
        verified_at=verification.at,
        verification_id=verification.pk,
        auth=user.get_session_auth_hash(),
    )
