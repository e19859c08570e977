"""Which passwords count: where single sign-on is enforced, only those of break-glass admins."""

from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

from apono_portal.sso.models import IdentityProvider, SignInDomain

if TYPE_CHECKING:
    from apono_portal.users.models import User


def enforcing_provider(email: str) -> IdentityProvider | None:
    """Return the provider that everybody of an email's domain must sign in through."""
    domain = email.strip().lower().rpartition("@")[2]
    if "\0" in domain:  # which PostgreSQL rejects
        return None
    rows = SignInDomain.objects.filter(domain=domain, is_enforced=True, provider__is_active=True)
    row = rows.select_related("provider").first()
    return row.provider if row else None


def may_use_password(user: "User") -> bool:
    """Return whether a user may sign in with, set or change a password."""
    is_exempt = user.is_break_glass and user.is_account_admin
    return is_exempt or enforcing_provider(user.email) is None


def is_break_glass_needed(user: "User") -> bool:
    """Return whether a user is a break-glass admin while a domain is without passwords."""
    is_one = user.is_break_glass and user.is_account_admin
    return is_one and SignInDomain.objects.filter(is_enforced=True).exists()


def users_locked_out_by(domain: SignInDomain) -> "QuerySet[User]":
    """Return the active users of a domain who never used its provider, but break-glass admins."""
    return (
        get_user_model()
        .objects.active()
        .filter(email__endswith=f"@{domain.domain}")
        .exclude(external_identities__provider=domain.provider_id)
        .exclude(Q(is_break_glass=True, role="admin"))
        .order_by("name", "email")
    )
