"""Sessions that providers began: remembered at sign-in, ended by them, signed out at them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from authlib.common.errors import AuthlibBaseError
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from apono_portal.core.crypto import encryption
from apono_portal.core.web.absolute_urls import absolute_url
from apono_portal.core.web.types import PortalRequest
from apono_portal.sso.claims import VerifiedClaims
from apono_portal.sso.clients import answers_of, client_of
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.models import IdentityProvider, ProviderSession
from apono_portal.users.models import User
from apono_portal.users.sessions import PROVIDER_SESSION, hash_of
from audit.events import EventName
from audit.services import record


def remember_session(
    request: PortalRequest, *, provider: IdentityProvider, claims: VerifiedClaims, id_token: str
) -> None:
    """Keep which provider began this session, which is saved under its new key."""
    forget_old_sessions()
    request.session.save()
    session_hash = hash_of(str(request.session.session_key))
    ProviderSession.objects.filter(session_hash=session_hash).delete()  # an earlier sign-in's
    row = ProviderSession(
        session_hash=session_hash,
        provider=provider,
        user_id=request.user.pk,
        subject=claims.subject,
        sid=claims.sid,
    )
    row.encrypted_id_token = encryption.encrypt(
        id_token.encode(), purpose=encryption.ID_TOKEN, owner=row.secret_id
    )
    row.save(force_insert=True)
    request.session[PROVIDER_SESSION] = row.pk


def session_of(request: PortalRequest) -> ProviderSession | None:
    """Return which provider began this session, None if a password did."""
    pk: Any = request.session.get(PROVIDER_SESSION)
    rows = ProviderSession.objects.select_related("provider").filter(user_id=request.user.pk)
    return rows.filter(pk=pk).first() if pk else None


def forget_old_sessions() -> None:
    """Delete expired sessions, such as those of visitors who never came back, and what belonged to them."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    oldest = now - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    ProviderSession.objects.filter(created_at__lt=oldest).delete()


def end_sessions(*, provider: IdentityProvider, sid: str, subject: str) -> int:
    """End the session with this ``sid``, or without one all of the subject. Returns how many.

    The rows stay locked meanwhile, so that no session gets a new key in between. Access stays as it is: it
    has its own end.
    """
    with transaction.atomic():
        rows = ProviderSession.objects.select_for_update().filter(provider=provider)
        rows = rows.filter(sid=sid) if sid else rows.filter(subject=subject)
        if sid and subject:
            rows = rows.filter(subject=subject)
        ended = list(rows)
        Session.objects.filter(session_key__in=[row.session_hash for row in ended]).delete()
        ProviderSession.objects.filter(pk__in=[row.pk for row in ended]).delete()
        for user in User.objects.filter(pk__in={row.user_id for row in ended}):
            record(
                event=EventName.SESSION_END,
                actor=None,
                actor_label=str(provider),
                target=user,
                metadata={"because": f"signed out at {provider}"},
            )
    return len(ended)


@dataclass(frozen=True)
class ProviderSignOut:
    """Where a user signs out of the provider, too."""

    provider: IdentityProvider
    url: str


def sign_out_of(request: HttpRequest, row: ProviderSession) -> ProviderSignOut | None:
    """Return the provider's address for signing out, None if it has none or cannot be reached.

    The session of ``request`` is the one after the sign-out, which keeps the state.
    """
    provider = row.provider
    row.delete()
    try:
        with answers_of(provider):
            client = client_of(provider)
            if not client.load_server_metadata().get("end_session_endpoint"):
                return None
            response = client.logout_redirect(
                request,
                post_logout_redirect_uri=absolute_url("sso:signed_out", provider.slug),
                id_token_hint=row.id_token,
                client_id=provider.client_id,
            )
    except (SsoError, encryption.DecryptionFailed):
        return None
    return ProviderSignOut(provider, response.url)


def is_returning(request: HttpRequest, provider: IdentityProvider) -> bool:
    """Return whether this browser began the sign-out that it comes back from."""
    try:
        client_of(provider).validate_logout_response(request)
    except (SsoError, AuthlibBaseError):
        return False
    return True
