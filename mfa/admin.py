"""Django admin of MFA: read-only, without keys, hashes or nonces.

django-otp's own page of TOTP devices shows keys and QR codes; it is unregistered.
"""

from typing import Any

import django_otp.plugins.otp_totp.admin  # noqa: F401  registers what is unregistered below
from django.contrib import admin
from django.db.models import Q, QuerySet
from django_otp.plugins.otp_totp.models import TOTPDevice

from audit.admin import ReadOnlyAdmin
from audit.models import Event
from mfa.models import Authenticator, MfaState, Passkey, TrustedBrowser, Verification

admin.site.unregister(TOTPDevice)


class UserRowAdmin(ReadOnlyAdmin):
    """Rows that belong to a user."""

    list_select_related = ("user",)
    search_fields = ("user__email", "user__name")

    def events_about(self, obj: Any) -> QuerySet[Event]:
        """Return all MFA events of the user: they are one history, whichever row one looks at."""
        events = Event.objects.filter(event__startswith="mfa:")
        about_user = {"target_type": obj.user._meta.label_lower, "target_id": str(obj.user_id)}
        return events.filter(Q(actor_id=obj.user_id) | Q(**about_user))


@admin.register(Authenticator)
class AuthenticatorAdmin(UserRowAdmin):
    fields = ("user", "name", "confirmed", "created_at", "last_used_at")
    list_display = ("user", "name", "confirmed", "created_at", "last_used_at")
    list_filter = ("confirmed",)


@admin.register(Passkey)
class PasskeyAdmin(UserRowAdmin):
    fields = (
        "user",
        "name",
        "is_device_bound",
        "is_backed_up",
        "aaguid",
        "sign_count",
        "rp_id",
        "created_at",
        "last_used_at",
        "vouched_at",
        "vouched_by_label",
    )
    list_display = ("user", "name", "is_device_bound", "created_at", "last_used_at")
    list_filter = ("is_device_bound",)


@admin.register(MfaState)
class MfaStateAdmin(UserRowAdmin):
    fields = ("user", "epoch", "lockout_lifted_at")
    list_display = ("user", "epoch", "lockout_lifted_at")


@admin.register(TrustedBrowser)
class TrustedBrowserAdmin(UserRowAdmin):
    fields = ("user", "user_agent", "epoch", "created_at", "last_used_at")
    list_display = ("user", "user_agent", "created_at", "last_used_at")


@admin.register(Verification)
class VerificationAdmin(UserRowAdmin):
    fields = (
        "user",
        "at",
        "outcome",
        "method",
        "device_name",
        "scope",
        "epoch",
        "address",
        "user_agent",
    )
    list_display = ("at", "user", "outcome", "method", "device_name", "scope", "address")
    list_filter = ("outcome", "method")
    date_hierarchy = "at"
