"""Django admin: the audit log and its deliveries, to look things up."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from audit.models import Delivery, Event, RetentionStub, Seal

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[models.Model]
else:
    ModelAdmin = admin.ModelAdmin


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only services write. Of every floor's admin the base."""

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


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    list_display = ("number", "sealed_at", "first_position", "last_position", "key_id", "hash")


@admin.register(RetentionStub)
class RetentionStubAdmin(ReadOnlyAdmin):
    list_display = ("through_position", "through_seal", "events", "last_at", "removed_at")


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
        "tries",
        "created_at",
        "sent_at",
        "next_try_at",
        "last_error",
    )
    list_display = ("created_at", "recipient", "subject", "state", "tries", "last_error")
    list_filter = ("state", "channel")
    search_fields = ("recipient", "subject")
