"""API tokens in Django admin, read-only and without hashes."""

from django.contrib import admin

from apono_portal.api.models import ApiToken
from audit.admin import ReadOnlyAdmin


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    fields = (
        "user",
        "name",
        "is_agent",
        "prefix",
        "scopes",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_display = (
        "user",
        "name",
        "is_agent",
        "prefix",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name", "name")
