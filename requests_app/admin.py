"""Read-only Django admin of requests, decisions, grants and drift."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import QuerySet
from django.urls import reverse

from audit.admin import ReadOnlyAdmin
from audit.models import Event
from requests_app.models import (
    AccessRequest,
    BreakGlassReview,
    Decision,
    Drift,
    Extension,
    Grant,
    RequestedTarget,
    TargetScan,
)


class RequestRowAdmin(ReadOnlyAdmin):
    """Rows that belong to a request and share its history."""

    list_select_related = ("request",)

    def events_about(self, obj: Any) -> QuerySet[Event]:
        return Event.objects.about_request(obj.request_id).order_by("-id")


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
    list_filter = ("status", "require_mfa", "break_glass", "approval")
    search_fields = ("=id", "requester_label", "flow_name", "justification", "ticket")
    date_hierarchy = "created_at"

    def events_about(self, obj: Any) -> QuerySet[Event]:
        return Event.objects.about_request(obj.pk).order_by("-id")

    def view_on_site(self, obj: models.Model) -> str:
        return reverse("requests:detail", kwargs={"pk": obj.pk})


@admin.register(BreakGlassReview)
class BreakGlassReviewAdmin(RequestRowAdmin):
    list_display = ("request", "verdict", "reviewer_label", "at", "lifted_at")
    list_filter = ("verdict",)
    search_fields = ("=request__id", "reviewer_label", "note")
    date_hierarchy = "at"


@admin.register(RequestedTarget)
class RequestedTargetAdmin(RequestRowAdmin):
    list_display = ("request", "integration_name", "resource", "permission")
    search_fields = ("integration_name", "resource", "permission")


@admin.register(Decision)
class DecisionAdmin(RequestRowAdmin):
    list_display = ("request", "approver_label", "verdict", "at")
    list_filter = ("verdict",)
    search_fields = ("approver_label", "reason")


@admin.register(Grant)
class GrantAdmin(RequestRowAdmin):
    list_display = (
        "request",
        "integration_name",
        "resource",
        "permission",
        "state",
        "login",
        "deadline",
        "removed_at",
        "last_error",
    )
    list_filter = ("state", "integration_name")
    search_fields = ("login", "resource", "permission", "request__requester_label")


@admin.register(Extension)
class ExtensionAdmin(ReadOnlyAdmin):
    list_display = ("request", "number", "state", "from_end", "to_end", "verified_at")
    list_filter = ("state",)
    list_select_related = ("request",)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_display = ("login", "integration_name", "kind", "sentence", "detected_at", "resolved_at")
    list_filter = ("kind", "integration_name")
    search_fields = ("login", "sentence")
    date_hierarchy = "detected_at"


@admin.register(TargetScan)
class TargetScanAdmin(ReadOnlyAdmin):
    list_display = ("integration", "scanned_at", "next_scan_at", "last_error")
    list_select_related = ("integration",)
