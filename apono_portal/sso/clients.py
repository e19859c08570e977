"""The OpenID Connect client of each provider (Authlib), and its bounded HTTP.

What a page asks of a provider ends after `TOTAL_S`, all requests together (`answers_of`). They go to
checked addresses only and follow no redirect.
What a provider publishes is kept for `METADATA_AGE_S`; a token under an unknown key has it read again.
"""

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import DjangoOAuth2App, OAuth
from authlib.integrations.requests_client import OAuth2Session
from joserfc.errors import JoseError
from requests.adapters import BaseAdapter

from apono_portal.core.crypto.encryption import DecryptionFailed
from apono_portal.core.web import http_client
from apono_portal.core.web.ssrf_guard import SSO_NETWORKS, AddressRefused
from apono_portal.sso.exceptions import ProviderUnreachable, SignInRefused
from apono_portal.sso.models import IdentityProvider

TOTAL_S = 4.0  # so that a page answers within 5 s
MAX_BYTES = 500_000
METADATA_AGE_S = 600.0
KEY_REFRESH_S = 30.0
# Asymmetric ones only: the provider's document must not talk the portal into "none" or a shared key.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
_give_up_at: ContextVar[float] = ContextVar("give_up_at")


class BoundedAdapter(BaseAdapter):
    """Sends what Authlib wants to send, within our limits."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - requests'
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002 - requests'
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        remaining_s = _give_up_at.get() - time.monotonic()
        limits = http_client.Limits(MAX_BYTES, max(remaining_s, 0.0), SSO_NETWORKS)
        try:
            answer = http_client.send(
                str(request.method), str(request.url), body, request.headers, limits=limits
            )
        except (AddressRefused, http_client.RequestFailed) as failed:
            raise requests.ConnectionError(failed.sentence) from None
        response = requests.Response()
        response.status_code = answer.status
        response.raw = io.BytesIO(answer.content)
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """Do nothing: each request has a connection of its own."""


class BoundedSession(OAuth2Session):  # type: ignore[misc]  # Authlib has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.trust_env = False
        self.headers["Accept-Encoding"] = "identity"
        for scheme in ("https://", "http://"):
            self.mount(scheme, BoundedAdapter())


class ProviderClient(DjangoOAuth2App):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client with our HTTP, and with the time of the last key refresh."""

    client_cls = BoundedSession
    keys_read_at = 0.0

    def fetch_jwk_set(self, force: bool = False) -> Any:  # noqa: FBT001, FBT002 - Authlib's
        """Return the provider's keys. A flood of unknown key ids does not become a flood of requests."""
        now = time.monotonic()
        if force and now - self.keys_read_at < KEY_REFRESH_S:
            force = False
        if force or "jwks" not in self.server_metadata:
            self.keys_read_at = now
        return super().fetch_jwk_set(force=force)


@dataclass(frozen=True)
class _CachedClient:
    version: int
    since: float
    client: ProviderClient


_clients: dict[UUID, _CachedClient] = {}


def client_of(provider: IdentityProvider) -> ProviderClient:
    """Return the client with the provider's metadata read and checked. Raises `ProviderUnreachable`."""
    cached, now = _clients.get(provider.secret_id), time.monotonic()
    if cached and cached.version == provider.version and now - cached.since < METADATA_AGE_S:
        return cached.client
    with answers_of(provider):
        client = new_client(provider)
        _check_metadata(client.load_server_metadata(), provider)
    _clients[provider.secret_id] = _CachedClient(provider.version, now, client)
    return client


def new_client(provider: IdentityProvider) -> ProviderClient:
    address = provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
    client: ProviderClient = OAuth().register(
        f"provider-{provider.pk}",
        client_cls=ProviderClient,
        client_id=provider.client_id,
        client_secret=provider.secret or None,
        server_metadata_url=address,
        client_kwargs={"scope": provider.scopes, "code_challenge_method": "S256"},
    )
    return client


@contextmanager
def answers_of(provider: IdentityProvider) -> Iterator[None]:
    """Turn what goes wrong while a provider is called into `ProviderUnreachable` or `SignInRefused`.

    The outermost one limits the time.
    """
    outer = _give_up_at.get(None)
    limit = _give_up_at.set(outer or time.monotonic() + TOTAL_S)
    try:
        yield
    except DecryptionFailed:
        raise ProviderUnreachable(
            f"The client secret of {provider} does not decrypt. An admin has to enter it again."
        ) from None
    except requests.ConnectionError as failed:
        raise ProviderUnreachable(str(failed)) from None
    except (requests.RequestException, json.JSONDecodeError, RuntimeError) as failed:
        raise ProviderUnreachable(
            f"{provider} did not answer as OpenID Connect demands ({type(failed).__name__})."
        ) from None
    except JoseError as failed:
        raise SignInRefused(
            f"{provider} sent a token that is not valid ({failed.error})."
        ) from None
    except AuthlibBaseError as failed:
        raise SignInRefused(f"{provider} refused the sign-in ({_code_of(failed)}).") from None
    except (ValueError, TypeError, KeyError, AttributeError) as failed:
        raise SignInRefused(
            f"{provider} sent an answer that cannot be read ({type(failed).__name__})."
        ) from None
    finally:
        _give_up_at.reset(limit)


def _code_of(failed: AuthlibBaseError) -> str:
    """Return the protocol's error code: plain letters, as the text is the provider's."""
    code = str(failed.error or "")
    return code if code.replace("_", "").isalnum() and code.isascii() else "unknown error"


def _check_metadata(metadata: dict[str, Any], provider: IdentityProvider) -> None:
    """Require the issuer and the endpoints, and pin the algorithms."""
    if metadata.get("issuer") != provider.issuer:
        raise ProviderUnreachable(
            f"The issuer in the discovery document of {provider} is a different one. Correct the issuer."
        )
    endpoints = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if not all(isinstance(metadata.get(name), str) for name in endpoints):
        raise ProviderUnreachable(f"The discovery document of {provider} is incomplete.")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    pinned = [name for name in ALGORITHMS if name in offered]
    if not pinned:
        raise ProviderUnreachable(f"{provider} signs with no algorithm that the portal accepts.")
    metadata["id_token_signing_alg_values_supported"] = pinned
