"""Directories and what they sent, in Django admin, read-only."""

from django.contrib import admin

from apono_portal.scim.models import Directory, ScimGroup, ScimUser
from audit.admin import ReadOnlyAdmin


@admin.register(Directory)
class DirectoryAdmin(ReadOnlyAdmin):
    list_display = ("name", "created_at")


@admin.register(ScimUser)
class ScimUserAdmin(ReadOnlyAdmin):
    list_display = ("user_name", "directory", "user", "external_id", "changed_at")
    list_filter = ("directory",)
    search_fields = ("user_name", "external_id")


@admin.register(ScimGroup)
class ScimGroupAdmin(ReadOnlyAdmin):
    fields = ("group", "directory", "external_id", "document", "created_at", "changed_at")
    readonly_fields = fields
    list_display = ("group", "directory", "external_id", "changed_at")
    list_filter = ("directory",)
