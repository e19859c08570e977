"""Django admin: flows, their versions, integrations and what these offer, read-only.

They are changed in the portal, whose services check, version and record. Credentials are not shown.
"""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.urls import reverse

from accessflows.models import (
    AccessFlow,
    CanaryRun,
    CheckRun,
    EscalationTier,
    FlowTarget,
    FlowVersion,
    Integration,
    Permission,
    ProposedChange,
    RequesterCondition,
    Resource,
)
from audit.admin import ReadOnlyAdmin

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[models.Model, models.Model]
else:
    TabularInline = admin.TabularInline


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


class TargetInline(ReadOnlyInline):
    model = FlowTarget
    fields = ("resource", "permission")


class ConditionInline(ReadOnlyInline):
    model = RequesterCondition
    fields = ("set_number", "attribute", "operator")


class EscalationInline(ReadOnlyInline):
    model = EscalationTier
    fields = ("position", "wait", "group")


@admin.register(AccessFlow)
class AccessFlowAdmin(ReadOnlyAdmin):
    list_display = (
        *("name", "require_mfa", "approval", "max_duration"),
        *("is_active", "managed_by_file", "changed_at"),
    )
    list_filter = ("is_active", "require_mfa", "break_glass", "approval", "managed_by_file")
    search_fields = ("name", "description")
    inlines = (ConditionInline, TargetInline, EscalationInline)

    def view_on_site(self, obj: models.Model) -> str:
        return reverse("flows:edit", kwargs={"pk": obj.pk})


@admin.register(FlowVersion)
class FlowVersionAdmin(ReadOnlyAdmin):
    fields = ("name", "version", "fingerprint", "changed_by_label", "at", "terms")
    list_display = ("name", "version", "changed_by_label", "at")
    search_fields = ("flow__name", "changed_by_label")
    date_hierarchy = "at"


@admin.register(Integration)
class IntegrationAdmin(ReadOnlyAdmin):
    exclude = ("encrypted_password", "secret_id")
    list_display = ("name", "kind", "host", "port", "health", "is_active", "health_checked_at")
    list_filter = ("is_active", "health", "kind")
    search_fields = ("name", "host")

    def view_on_site(self, obj: models.Model) -> str:
        return reverse("integrations:detail", kwargs={"pk": obj.pk})


@admin.register(Resource, Permission)
class DiscoveredItemAdmin(ReadOnlyAdmin):
    list_display = ("name", "integration", "missing_since")
    list_filter = ("integration",)
    list_select_related = ("integration",)
    search_fields = ("name",)


@admin.register(CanaryRun)
class CanaryRunAdmin(ReadOnlyAdmin):
    list_display = ("integration", "resource", "permission", "state", "requested_by_label")
    list_filter = ("state", "integration")
    list_select_related = ("integration",)


@admin.register(CheckRun)
class CheckRunAdmin(ReadOnlyAdmin):
    list_display = ("integration", "state", "requested_by_label", "requested_at", "finished_at")
    list_filter = ("state", "integration")
    list_select_related = ("integration",)


@admin.register(ProposedChange)
class ProposedChangeAdmin(ReadOnlyAdmin):
    fields = (
        *("action_label", "title", "proposer_label", "proposed_at", "expires_at"),
        *("state", "decided_by_label", "decided_at"),
    )
    list_display = ("action_label", "title", "proposer_label", "state", "decided_by_label")
    list_filter = ("state",)
    search_fields = ("title", "proposer_label")
