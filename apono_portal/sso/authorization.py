"""The authorization code flow: to the provider, and back with its answer.

Authlib keeps state, nonce and PKCE verifier in the session, for each state of each provider apart, so two
tabs do not disturb each other and an answer of one provider never counts as another's. Beside them the
session keeps what the sign-in is for.
"""

import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from apono_portal.sso.claims import VerifiedClaims, verify_claims
from apono_portal.sso.clients import ProviderClient, answers_of, client_of
from apono_portal.sso.exceptions import ProviderUnreachable, SignInMismatch, SignInRefused
from apono_portal.sso.models import IdentityProvider

SESSION_KEY = "sso_attempts"
MAX_ATTEMPTS = 5  # in one session: of older tabs the answer is refused
LIFETIME_S = 3600
GOOGLE = "https://accounts.google.com"  # knows no "login" among its prompts
SIGN_IN, TEST = "sign_in", "test"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that this session began. ``is_fresh`` had the provider ask the user again."""

    provider_id: int
    purpose: str
    next_url: str
    is_fresh: bool
    began_at: float

    @property
    def max_age(self) -> timedelta | None:
        """Return how old the sign-in at the provider may be: as old as the attempt, if it is fresh."""
        return timedelta(seconds=time.time() - self.began_at) if self.is_fresh else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the attempt it belongs to, the claims, and the ID token."""

    attempt: Attempt
    claims: VerifiedClaims
    id_token: str

    @property
    def proven_at(self) -> datetime | None:
        """Return when the user proved who they are, None if the provider may only have remembered them.

        Some providers do not say when, even if they were to ask again.
        """
        if self.claims.auth_time is not None:
            return min(self.claims.auth_time, timezone.now())
        return timezone.now() if self.attempt.is_fresh else None


def begin(
    request: HttpRequest,
    provider: IdentityProvider,
    *,
    purpose: str = SIGN_IN,
    next_url: str = "",
    is_fresh: bool = False,
) -> str:
    """Return the provider's address for a sign-in, which the session remembers."""
    options: dict[str, Any] = {}
    if is_fresh:
        options["max_age"] = 0
        options["prompt"] = "select_account" if provider.issuer == GOOGLE else "login"
    if provider.accepted_acr:
        options["acr_values"] = " ".join(provider.accepted_acr)
    with answers_of(provider):
        client = client_of(provider)
        made = client.create_authorization_url(provider.redirect_address, **options)
        client.save_authorize_data(request, redirect_uri=provider.redirect_address, **made)
    attempt = Attempt(provider.pk, purpose, next_url, is_fresh, time.time())
    _remember(request, made["state"], attempt)
    return str(made["url"])


def take_attempt(request: HttpRequest, provider: IdentityProvider) -> Attempt:
    """Return the attempt that an answer belongs to. It leaves the session: each is answered once."""
    attempts = _attempts(request)
    values = attempts.pop(request.GET.get("state", ""), None)
    if values is None:
        raise SignInMismatch("This sign-in was not started in this browser, or it is over.")
    request.session[SESSION_KEY] = attempts
    attempt = Attempt(**values)
    if attempt.provider_id != provider.pk or time.time() - attempt.began_at > LIFETIME_S:
        raise SignInMismatch("This sign-in was started with another provider, or it is over.")
    return attempt


def finish(request: HttpRequest, provider: IdentityProvider, attempt: Attempt) -> Answer:
    """Exchange the code and return the checked answer.

    Raises `SignInMismatch`, `SignInRefused` and `ProviderUnreachable`.
    """
    with answers_of(provider):
        client = client_of(provider)
        _check_response_issuer(request, client, provider)
        token = client.authorize_access_token(request, claims_options=_claims_options(provider))
        claims = token.get("userinfo")
        if not claims:
            raise SignInRefused(f"{provider} sent no ID token.")
        claims = dict(claims) | _further_claims(client, provider, claims, token)
    verified = verify_claims(claims, provider=provider, now=timezone.now(), max_age=attempt.max_age)
    return Answer(attempt, verified, str(token["id_token"]))


def _claims_options(provider: IdentityProvider) -> dict[str, dict[str, object]]:
    return {
        "iss": {"essential": True, "values": [provider.issuer]},
        "aud": {"essential": True, "value": provider.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
    }


def _further_claims(
    client: ProviderClient, provider: IdentityProvider, claims: dict[str, Any], token: Any
) -> dict[str, Any]:
    """Return email, name and groups from the userinfo endpoint, where the ID token lacks them.

    What the ID token proves is never replaced.
    """
    needed = {"email", "email_verified", "name", provider.groups_claim}
    missing = needed - claims.keys()
    if not {"email", provider.groups_claim} & missing or not token.get("access_token"):
        return {}
    if not client.load_server_metadata().get("userinfo_endpoint"):
        return {}
    userinfo = client.userinfo(token=token)
    if userinfo.get("sub") != claims.get("sub"):
        raise SignInRefused(f"{provider} sent details of another user.")
    if "email" in claims:
        missing -= {"email_verified"}  # it belongs to the email it came with
    return {name: userinfo[name] for name in missing if name in userinfo}


def _check_response_issuer(
    request: HttpRequest, client: ProviderClient, provider: IdentityProvider
) -> None:
    """Refuse an answer that names another issuer, or none where the provider names itself (RFC 9207)."""
    names_itself = client.load_server_metadata().get(
        "authorization_response_iss_parameter_supported"
    )
    issuer = request.GET.get("iss", "" if names_itself else provider.issuer)
    if issuer != provider.issuer:
        raise SignInMismatch(f"This answer did not come from {provider}. Start again.")
    error = request.GET.get("error", "")
    if error == "temporarily_unavailable":
        raise ProviderUnreachable(f"{provider} is temporarily unavailable.")


def _remember(request: HttpRequest, state: str, attempt: Attempt) -> None:
    """Keep the newest attempts of this session, and of the others nothing."""
    attempts = _attempts(request)
    attempts[state] = asdict(attempt)
    for oldest in list(attempts)[:-MAX_ATTEMPTS]:
        forgotten = attempts.pop(oldest)
        request.session.pop(f"_state_provider-{forgotten['provider_id']}_{oldest}", None)
    request.session[SESSION_KEY] = attempts


def _attempts(request: HttpRequest) -> dict[str, Any]:
    return dict(request.session.get(SESSION_KEY) or {})
