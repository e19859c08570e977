"""Identity providers and identities in Django admin, read-only."""

from django.contrib import admin

from apono_portal.sso.models import (
    ClaimMapping,
    ExternalIdentity,
    IdentityProvider,
    SignInDomain,
)
from audit.admin import ReadOnlyAdmin


@admin.register(IdentityProvider)
class IdentityProviderAdmin(ReadOnlyAdmin):
    fields = ("name", "slug", "issuer", "client_id", "scopes", "groups_claim", "accepted_acr")
    list_display = ("name", "issuer", "is_active")


@admin.register(SignInDomain)
class SignInDomainAdmin(ReadOnlyAdmin):
    list_display = ("domain", "provider", "creates_users", "is_enforced")


@admin.register(ClaimMapping)
class ClaimMappingAdmin(ReadOnlyAdmin):
    list_display = ("value", "group", "role", "provider")


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(ReadOnlyAdmin):
    list_display = ("user", "provider", "subject", "last_used_at")
