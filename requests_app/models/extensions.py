"""Extensions of active access."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apono_portal.core.crypto.authenticity import AuthenticatedRow
from mfa.models import Method, Verification
from requests_app.models.requests import AccessRequest


class Extension(AuthenticatedRow):
    """A later end for active access, which takes effect once every target has confirmed it."""

    MAC_FIELDS = (
        "request_id",
        "number",
        "requested_at",
        "from_end",
        "to_end",
        "require_mfa",
        "verification_id",
    )

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        DONE = "done", "Extended"
        FAILED = "failed", "Not extended"

    request = models.ForeignKey(AccessRequest, on_delete=models.CASCADE, related_name="extensions")
    number = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=16, choices=State.choices, default=State.REQUESTED)
    requested_at = models.DateTimeField(default=timezone.now)
    requested_from = models.GenericIPAddressField(null=True, blank=True)
    from_end = models.DateTimeField()
    to_end = models.DateTimeField()
    next_attempt_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)
    message = models.CharField(max_length=500, blank=True)
    require_mfa = models.BooleanField()
    verification = models.ForeignKey(
        Verification, null=True, blank=True, on_delete=models.SET_NULL, related_name="extensions"
    )
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_method = models.CharField(max_length=8, choices=Method.choices, blank=True)
    verified_with = models.CharField(max_length=64, blank=True)
    verified_scope = models.CharField(max_length=32, blank=True)
    verified_from = models.GenericIPAddressField(null=True, blank=True)

    class Meta:
        ordering = ["request_id", "requested_at", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["request", "number"],
                name="extension_once_per_number",
                condition=~Q(state="failed"),
            ),
            models.UniqueConstraint(
                fields=["request"], name="one_open_extension", condition=Q(state="requested")
            ),
            models.CheckConstraint(
                condition=Q(to_end__gt=models.F("from_end")), name="extension_ends_later"
            ),
            models.CheckConstraint(
                condition=~Q(require_mfa=True) | Q(verified_at__isnull=False),
                name="extension_protected_needs_evidence",
            ),
        ]

    def __str__(self) -> str:
        return f"Extension {self.number} of {self.request}"
