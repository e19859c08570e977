"""The audit log: rows that are written once and never changed."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.utils import timezone

from apono_portal.core.web.user_agent import name_browser
from audit.events import LABELS, TROUBLE, event_choices
from audit.querysets import DeliveryQuerySet, EventQuerySet


class Event(models.Model):
    """One thing that happened. Labels are snapshots, so a row reads the same for ever.

    Actor, target and request are kept by number and label instead of foreign keys: a row must never
    be touched again, also when what it speaks of is deleted (audit/integrity/triggers.py).
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    event = models.CharField(max_length=64, choices=event_choices)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_label = models.CharField(max_length=320)
    target_type = models.CharField(max_length=64, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=320, blank=True)
    request_id = models.BigIntegerField(null=True, blank=True)
    request_label = models.CharField(max_length=32, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    metadata = models.JSONField(default=dict, blank=True, encoder=DjangoJSONEncoder)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["event", "-id"], name="event_by_name"),
            models.Index(fields=["actor_id", "-id"], name="event_by_actor"),
            models.Index(fields=["request_id", "-id"], name="event_by_request"),
            models.Index(fields=["target_type", "target_id", "-id"], name="event_by_target"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.event} by {self.actor_label}"

    @property
    def number(self) -> str:
        return str(self.pk)

    def get_event_display(self) -> str:  # type: ignore[no-redef]
        """As Django's, which would read the whole vocabulary anew for each row."""
        return LABELS.get(self.event, self.event)

    @property
    def actor_name(self) -> str:
        """The name in a label like ``Name <address>``."""
        return self.actor_label.partition(" <")[0]

    @property
    def actor_email(self) -> str:
        return self.actor_label.partition(" <")[2].rstrip(">")

    @property
    def target_name(self) -> str:
        """The target without its e-mail address, if it is a person."""
        return self.target_label.partition(" <")[0]

    @property
    def browser_name(self) -> str:
        return name_browser(self.user_agent)

    @property
    def is_trouble(self) -> bool:
        return self.event in TROUBLE


class Checkpoint(models.Model):
    """A run of sealed events, closed: what its fields mean stands in audit/verify_export.py."""

    number = models.BigIntegerField(primary_key=True)
    first_position = models.BigIntegerField()
    last_position = models.BigIntegerField(unique=True)
    settled_id = models.BigIntegerField()  # no event up to this number is left out
    sealed_at = models.DateTimeField()
    link = models.CharField(max_length=64)
    previous = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    hash = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"Checkpoint {self.number}"


class ChainEntry(models.Model):
    """The place of an event in the chain. Given when it is sealed, so there is never a gap.

    Events are not numbered in the order in which they are committed, so their own numbers are none.
    """

    position = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    link = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"Event {self.event_id} at position {self.position}"


class RetentionStub(models.Model):
    """Stands for the beginning of the chain after retention removed it (audit/integrity/retention.py)."""

    through_position = models.BigIntegerField(unique=True)
    through_seal = models.BigIntegerField()
    events = models.BigIntegerField()
    link = models.CharField(max_length=64)
    seal_hash = models.CharField(max_length=64)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    removed_at = models.DateTimeField()
    key_id = models.CharField(max_length=8)
    hash = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        ordering = ["-through_position"]

    def __str__(self) -> str:
        return f"Stub of {self.events} events"


class ChainState(models.Model):
    """One row: the lock of the sealer, its place, and what the last verification found.

    Nothing is proven by this row. It is worked with and shown; a verification believes seals only.
    """

    ONLY = 1

    settled_id = models.BigIntegerField(default=0)
    mark_id = models.BigIntegerField(default=0)
    mark_writers = models.JSONField(default=list, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_by_label = models.CharField(max_length=320, blank=True)
    verified_event_id = models.BigIntegerField(null=True, blank=True)
    verified_seal = models.BigIntegerField(default=0)
    verified_hash = models.CharField(max_length=64, blank=True)
    findings = models.PositiveIntegerField(default=0)
    first_finding = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"Settled through event {self.settled_id}"

    @property
    def verified_by_name(self) -> str:
        return self.verified_by_label.partition(" <")[0]


class LogVerification(models.Model):
    """A verification of the whole log that somebody asked for on the page; a worker does it.

    The worker that holds it moves ``beat_at`` with every slice. When that stops, another begins anew.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Under way"
        DONE = "done", "Done"

    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    slot = models.SmallIntegerField(null=True, unique=True, default=1)  # one check at a time
    asked_by_id = models.BigIntegerField()
    asked_by_label = models.CharField(max_length=320)
    asked_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    held_by = models.CharField(max_length=32, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    checked = models.BigIntegerField(default=0)
    expected = models.BigIntegerField(default=0)
    findings = models.JSONField(default=list, blank=True)
    more_findings = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state="done", slot=None)
                | ~models.Q(state="done") & ~models.Q(slot=None),
                name="check_of_the_log_frees_its_slot",
            )
        ]

    def __str__(self) -> str:
        return f"Check of the log asked for by {self.asked_by_label}"

    @property
    def is_open(self) -> bool:
        return self.state != self.State.DONE


class ExportProgress(models.Model):
    """How far an export has come, for the page it was asked for on (audit/log/export_progress.py).

    The page chooses the token. ``expected`` is None where counting the rows would take long.
    """

    token = models.UUIDField(primary_key=True)
    actor_id = models.BigIntegerField()
    expected = models.BigIntegerField(null=True, blank=True)
    rows = models.BigIntegerField(default=0)
    begun_at = models.DateTimeField(default=timezone.now, db_index=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.rows} rows exported"


class Delivery(models.Model):
    """A message that an event sends to the outside world, at least once (audit/outbox/deliveries.py).

    It is written in the transaction of the event and carried out by a worker. The text is final and
    holds no secret. A link that does something by being opened is put in while the mail is sent:
    ``deferred_part`` says what is to be made, ``deferred_subject_id`` for whom (audit/outbox/deferred_parts.py).
    """

    class Channel(models.TextChoices):
        MAIL = "mail", "Mail"
        WEBHOOK = "webhook", "Webhook"

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENT = "sent", "Sent"
        GIVEN_UP = "given_up", "Given up"
        WITHDRAWN = "withdrawn", "Withdrawn"

    event_id = models.BigIntegerField()
    channel = models.CharField(max_length=16, choices=Channel.choices, default=Channel.MAIL)
    kind = models.CharField(max_length=32, blank=True)
    recipient = models.CharField(max_length=254)  # an address, or the number of a webhook
    recipient_label = models.CharField(max_length=80, blank=True)
    subject = models.CharField(max_length=200)
    body = models.TextField()
    deferred_part = models.CharField(max_length=32, blank=True)
    deferred_subject_id = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.WAITING)
    created_at = models.DateTimeField(default=timezone.now)
    waiting_since = models.DateTimeField(default=timezone.now)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    useful_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=200, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                name="delivery_waiting",
                condition=models.Q(state="waiting"),
            )
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["event_id", "channel", "recipient"], name="delivered_once_to_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} to {self.to}"

    @property
    def to(self) -> str:
        return self.recipient_label or self.recipient

    @property
    def about(self) -> str:
        """The subject without the portal's name, which every mail's begins with."""
        return self.subject.removeprefix(f"{settings.PORTAL_NAME}: ")

    @property
    def after_event(self) -> int:
        """The key before which its event stands, for the page of the log that shows it first."""
        return self.event_id + 1
