"""Django admin: requests, decisions and grants, to look things up. Only services write them."""

from django.contrib import admin

from audit.admin import ReadOnlyAdmin
from requests_app.models import (
    AccessRequest,
    Decision,
    Drift,
    Grant,
    RequestedTarget,
    TargetWatch,
)


@admin.register(AccessRequest)
class AccessRequestAdmin(ReadOnlyAdmin):
    list_display = (
        "__str__",
        "requester_label",
        "flow_name",
        "status",
        "require_mfa",
        "verified_at",
        "created_at",
        "ends_at",
    )
    list_filter = ("status", "require_mfa")
    search_fields = ("=id", "requester_label", "flow_name", "justification", "ticket")
    date_hierarchy = "created_at"


@admin.register(RequestedTarget)
class RequestedTargetAdmin(ReadOnlyAdmin):
    list_display = ("request", "integration_name", "resource", "permission")
    list_select_related = ("request",)
    search_fields = ("integration_name", "resource", "permission")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("request", "approver_label", "verdict", "at")
    list_filter = ("verdict",)
    list_select_related = ("request",)
    search_fields = ("approver_label", "reason")


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = (
        "request",
        "integration_name",
        "resource",
        "permission",
        "state",
        "login",
        "deadline",
        "ended_at",
        "last_error",
    )
    list_filter = ("state", "integration_name")
    list_select_related = ("request",)
    search_fields = ("login", "resource", "permission", "request__requester_label")


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_display = ("login", "integration_name", "kind", "sentence", "noticed_at", "over_at")
    list_filter = ("kind", "integration_name")
    search_fields = ("login", "sentence")
    date_hierarchy = "noticed_at"


@admin.register(TargetWatch)
class TargetWatchAdmin(ReadOnlyAdmin):
    list_display = ("integration", "looked_at", "next_look_at", "last_error")
    list_select_related = ("integration",)
