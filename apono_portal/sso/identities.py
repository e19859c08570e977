"""From what a provider says to a user of the portal.

Users match by issuer and subject. An email only introduces somebody: it creates an account where the
domain allows that, or connects one that nobody has used yet. An account in use is connected by its owner,
signed in to it (`connect_identity`).
"""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from apono_portal.sso.claims import VerifiedClaims
from apono_portal.sso.exceptions import SignInRefused
from apono_portal.sso.mappings import apply_claims
from apono_portal.sso.models import ExternalIdentity, IdentityProvider, SignInDomain
from apono_portal.sso.pending_connection import PendingConnection
from apono_portal.users.exceptions import UserError
from apono_portal.users.models import Role, User
from apono_portal.users.services import create_user_from_directory
from audit.events import EventName
from audit.models import Event
from audit.services import ANONYMOUS_LABEL, record
from mfa import emails
from mfa.enrolment.reauthentication import require_recent_proof
from mfa.methods.selectors import is_enrolled
from mfa.verification.evidence import require_evidence
from mfa.verification.locking import lock_state
from mfa.verification.window import Window

MAX_REFUSALS, REFUSAL_PERIOD = 10, timedelta(minutes=15)
NO_ACCOUNT = "You don't have an account here yet. Ask an account admin to add one."
NOT_ACTIVE = "Your account is deactivated. Ask an account admin."
SERVICE = "A service account acts by API token and signs in nowhere."
TAKEN = "This sign-in is already connected to an account."


class ConnectionNeeded(Exception):
    """An account with this email is in use. Its owner has to connect it."""


def sign_in_user(
    *, provider: IdentityProvider, claims: VerifiedClaims, client_info: ClientInfo
) -> User:
    """Return the user to sign in, with what the claims say applied.

    Raises `SignInRefused` and `ConnectionNeeded`; nothing is saved then.
    """
    with transaction.atomic():
        identity = _find_identity(provider, claims) or _introduce(provider, claims, client_info)
        lock_state(identity.user_id)
        identity.user.refresh_from_db()
        if not identity.user.is_active:
            raise SignInRefused(NOT_ACTIVE)
        if identity.user.is_service:
            raise SignInRefused(SERVICE)
        identity.last_used_at = timezone.now()
        identity.save(update_fields=["last_used_at"])
        apply_claims(identity=identity, claims=claims, client_info=client_info)
    return User.objects.select_related("mfa_state").get(pk=identity.user_id)


def connect_identity(
    *,
    user: User,
    pending: PendingConnection,
    window: Window | None,
    password_proven_at: datetime | None,
    client_info: ClientInfo,
) -> None:
    """Connect the user's account with the sign-in that waits for it.

    Needs an open window of whoever has MFA, and of every admin; a recent password of others.
    """
    provider = IdentityProvider.objects.filter(pk=pending.provider_id, is_active=True).first()
    if provider is None or user.email != pending.email:
        raise SignInRefused("This account has another email than the sign-in. Nothing was changed.")
    try:
        with transaction.atomic():
            lock_state(user.pk)
            if user.role == Role.ADMIN:
                require_evidence(user=user, window=window)
            else:
                require_recent_proof(
                    user=user, window=window, password_proven_at=password_proven_at
                )
            _connect(provider, pending.subject, user, client_info)
    except IntegrityError:
        raise SignInRefused(TAKEN) from None


def record_refusal(
    *, provider: IdentityProvider, reason: str, user: User | None = None, client_info: ClientInfo
) -> None:
    """Record a refused sign-in: why, never with what the provider sent.

    A few for each address: whoever repeats it must not fill the log.
    """
    recent = Event.objects.filter(
        event=EventName.PROVIDER_REFUSE,
        address=client_info.address,
        at__gt=timezone.now() - REFUSAL_PERIOD,
    )
    if recent.count() >= MAX_REFUSALS:
        return
    record(
        event=EventName.PROVIDER_REFUSE,
        actor=user,
        actor_label=ANONYMOUS_LABEL,
        target=provider,
        client_info=client_info,
        metadata={"reason": reason},
    )


def _find_identity(provider: IdentityProvider, claims: VerifiedClaims) -> ExternalIdentity | None:
    identities = ExternalIdentity.objects.select_related("user", "provider").select_for_update(
        of=("self",)
    )
    return identities.filter(
        provider=provider, issuer=claims.issuer, subject=claims.subject
    ).first()


def _introduce(
    provider: IdentityProvider, claims: VerifiedClaims, client_info: ClientInfo
) -> ExternalIdentity:
    """Connect a subject seen for the first time, to a new account or to an unused one."""
    if not claims.email:
        raise SignInRefused(f"{provider} did not send a verified email address.")
    domain = SignInDomain.objects.filter(provider=provider, domain=claims.domain).first()
    if domain is None:
        raise SignInRefused(f"{provider} may not sign in users of {claims.domain}.")
    user = User.objects.filter(email=claims.email).first()
    if user is not None and not is_unused(user):
        raise ConnectionNeeded
    try:
        with transaction.atomic():
            known = user or _create(domain, claims, client_info)
            return _connect(provider, claims.subject, known, client_info, is_new=user is None)
    except IntegrityError:
        raise SignInRefused(TAKEN) from None


def is_unused(user: User) -> bool:
    """Return whether an account has nothing to verify its owner by, so belongs to its email.

    An admin's never does.
    """
    return not (
        user.role == Role.ADMIN
        or user.has_usable_password()
        or user.last_login
        or is_enrolled(user.pk)
        or ExternalIdentity.objects.filter(user=user).exists()
    )


def _create(domain: SignInDomain, claims: VerifiedClaims, client_info: ClientInfo) -> User:
    if not domain.creates_users:
        raise SignInRefused(NO_ACCOUNT)
    try:
        validate_email(claims.email)
        return create_user_from_directory(
            email=claims.email,
            name=claims.name or claims.email.partition("@")[0][:64],
            directory=str(domain.provider),
            metadata={"provider": str(domain.provider), "subject": claims.subject},
            client_info=client_info,
        )
    except (ValidationError, UserError):
        raise SignInRefused(NO_ACCOUNT) from None


def _connect(
    provider: IdentityProvider,
    subject: str,
    user: User,
    client_info: ClientInfo,
    *,
    is_new: bool = False,
) -> ExternalIdentity:
    """Save and record an identity. The owner of an account that is not new gets an email."""
    identity = ExternalIdentity.objects.create(
        provider=provider, issuer=provider.issuer, subject=subject, user=user
    )
    event = record(
        event=EventName.PROVIDER_CONNECT,
        actor=user,
        target=provider,
        client_info=client_info,
        metadata={"issuer": provider.issuer, "subject": subject},
    )
    if not is_new:
        emails.provider_connected(
            event=event, user=user, client_info=client_info, provider=str(provider)
        )
    return identity
