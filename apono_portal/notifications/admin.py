"""Webhooks and email opt-outs in Django admin, read-only."""

from django.contrib import admin

from apono_portal.notifications.models import EmailOptOut, Webhook
from audit.admin import ReadOnlyAdmin


@admin.register(Webhook)
class WebhookAdmin(ReadOnlyAdmin):
    fields = ("name", "host", "form", "kinds", "is_active", "created_at")
    list_display = ("name", "host", "form", "is_active")


@admin.register(EmailOptOut)
class EmailOptOutAdmin(ReadOnlyAdmin):
    list_display = ("user", "kind")
    list_filter = ("kind",)
