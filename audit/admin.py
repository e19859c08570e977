"""Django admin: the audit log and its deliveries, read-only."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from audit.models import (
    Checkpoint,
    CheckpointDestination,
    Delivery,
    Event,
    RetentionStub,
    SignedCheckpoint,
    StreamDestination,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[models.Model]
else:
    ModelAdmin = admin.ModelAdmin

EVENTS_PER_PAGE = 100


class AuditedAdmin(ModelAdmin):
    """History comes from the audit log instead of Django's own log of actions."""

    show_full_result_count = False

    def events_about(self, obj: models.Model) -> QuerySet[Event]:
        """Return the events of one row, newest first."""
        return Event.objects.about_target(obj)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        events = self.events_about(obj) if obj else Event.objects.none()
        page = Paginator(events, EVENTS_PER_PAGE).get_page(request.GET.get(PAGE_VAR))
        context = {
            "title": f"History of {obj}",
            "action_list": page,
            "page_range": page.paginator.get_elided_page_range(page.number),
            "pagination_required": page.has_other_pages(),
        }
        response: HttpResponse = super().history_view(
            request, object_id, {**(extra_context or {}), **context}
        )
        return response

    def log_addition(self, *_args: object) -> None:  # type: ignore[override]
        """Write nothing: the service has recorded its event."""

    log_change = log_addition  # type: ignore[assignment]
    log_deletions = log_addition  # type: ignore[assignment]


class ReadOnlyAdmin(AuditedAdmin):
    """Base of every admin whose rows only services write."""

    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("at", "event", "actor_label", "target_label", "request_label", "address")
    list_filter = ("event",)
    search_fields = ("actor_label", "target_label", "request_label", "address")
    date_hierarchy = "at"


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("number", "created_at", "first_position", "last_position", "key_id", "hash")


@admin.register(RetentionStub)
class RetentionStubAdmin(ReadOnlyAdmin):
    list_display = ("first_position", "through_position", "events", "last_at", "removed_at")


@admin.register(SignedCheckpoint)
class SignedCheckpointAdmin(ReadOnlyAdmin):
    list_display = ("size", "created_at")


@admin.register(CheckpointDestination)
class CheckpointDestinationAdmin(ReadOnlyAdmin):
    list_display = ("name", "size", "sent_at", "attempts", "last_error")


@admin.register(StreamDestination)
class StreamDestinationAdmin(ReadOnlyAdmin):
    list_display = ("name", "position", "sent_at", "attempts", "last_error")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    fields = (
        "event_id",
        "channel",
        "kind",
        "recipient",
        "recipient_label",
        "subject",
        "state",
        "attempts",
        "created_at",
        "sent_at",
        "next_attempt_at",
        "last_error",
    )
    list_display = ("created_at", "recipient", "subject", "state", "attempts", "last_error")
    list_filter = ("state", "channel")
    search_fields = ("recipient", "subject")
