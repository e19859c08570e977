"""Logout tokens (OpenID Connect Back-Channel Logout 1.0): every check of section 2.6, and each token once."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from apono_portal.sso.claims import LEEWAY, instant_of
from apono_portal.sso.clients import ALGORITHMS, ProviderClient, answers_of, client_of
from apono_portal.sso.exceptions import SignInRefused
from apono_portal.sso.models import IdentityProvider, UsedLogoutToken

EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_AGE = timedelta(minutes=10)
MAX_LENGTH = 20_000


@dataclass(frozen=True)
class LogoutToken:
    """Whose session ends: the one with ``sid``, or all of ``subject``."""

    sid: str
    subject: str


def accept_logout_token(*, provider: IdentityProvider, text: str) -> LogoutToken:
    """Return what a token says and keep it from being used again. Raises `SsoError`."""
    if not 0 < len(text) <= MAX_LENGTH:
        raise SignInRefused("There is no logout token.")
    with answers_of(provider):
        claims = _decode(client_of(provider), text)
    now = timezone.now()
    for claim, holds in _checks(claims, provider, now).items():
        if not holds:
            raise SignInRefused(f"The claim {claim} of the logout token is not valid.")
    _use_once(provider, claims["jti"], now)
    return LogoutToken(claims.get("sid", "")[:255], claims.get("sub", ""))


def _checks(
    claims: Mapping[str, Any], provider: IdentityProvider, now: datetime
) -> dict[str, bool]:
    """Return the claims that a logout token must have or lack, and whether this one does."""
    audience, events = claims.get("aud"), claims.get("events")
    issued_at, expires_at = instant_of(claims.get("iat")), instant_of(claims.get("exp"))
    sid, subject, jti = (claims.get(name, "") for name in ("sid", "sub", "jti"))
    return {
        "iss": claims.get("iss") == provider.issuer,
        "aud": provider.client_id in (audience if isinstance(audience, list) else [audience]),
        "iat": issued_at is not None and now - MAX_AGE < issued_at < now + LEEWAY,
        "exp": "exp" not in claims or (expires_at is not None and now < expires_at + LEEWAY),
        "events": isinstance(events, Mapping) and isinstance(events.get(EVENT), Mapping),
        "nonce": "nonce" not in claims,
        "sub": isinstance(sid, str) and isinstance(subject, str) and bool(sid or subject),
        "jti": isinstance(jti, str) and jti != "",
    }


def _decode(client: ProviderClient, text: str) -> Mapping[str, Any]:
    """Check the signature, with the provider's keys read again if it is under an unknown one."""
    registry = JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
    try:
        token = jwt.decode(text, KeySet.import_key_set(client.fetch_jwk_set()), registry=registry)
    except InvalidKeyIdError:
        keys = KeySet.import_key_set(client.fetch_jwk_set(force=True))
        token = jwt.decode(text, keys, registry=registry)
    return token.claims


def _use_once(provider: IdentityProvider, jti: str, now: datetime) -> None:
    UsedLogoutToken.objects.filter(expires_at__lt=now).delete()
    token_hash = hashlib.sha256(f"{provider.pk}\0{jti}".encode()).hexdigest()
    try:
        with transaction.atomic():
            UsedLogoutToken.objects.create(
                token_hash=token_hash, expires_at=now + MAX_AGE + 2 * LEEWAY
            )
    except IntegrityError:
        raise SignInRefused("This logout token was used before.") from None
