"""Django admin: look things up, change nothing. Keys, hashes and nonces appear nowhere.

django-otp's own page of TOTP devices shows keys and QR codes; it is taken away.
"""

from typing import TYPE_CHECKING

import django_otp.plugins.otp_totp.admin  # noqa: F401  registers what is taken away below
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django_otp.plugins.otp_totp.models import TOTPDevice

from mfa.models import Authenticator, KnownBrowser, MfaState, Verification

admin.site.unregister(TOTPDevice)


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[models.Model]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only services write."""

    actions = None
    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    fields = ("user", "name", "confirmed", "created_at", "last_used_at")
    list_display = ("user", "name", "confirmed", "created_at", "last_used_at")
    list_filter = ("confirmed",)


@admin.register(MfaState)
class MfaStateAdmin(ReadOnlyAdmin):
    fields = ("user", "epoch", "cap_lifted_at")
    list_display = ("user", "epoch", "cap_lifted_at")


@admin.register(KnownBrowser)
class KnownBrowserAdmin(ReadOnlyAdmin):
    fields = ("user", "user_agent", "epoch", "created_at", "last_used_at")
    list_display = ("user", "user_agent", "created_at", "last_used_at")


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    fields = ("user", "at", "outcome", "device_name", "lane", "epoch", "address", "user_agent")
    list_display = ("at", "user", "outcome", "device_name", "lane", "address")
    list_filter = ("outcome",)
    date_hierarchy = "at"
