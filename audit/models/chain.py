"""The chain over the log: entries, checkpoints, retention stubs and verifications.

audit/verify_export defines what is hashed and signed.
"""

from django.db import models
from django.utils import timezone

from apono_portal.core.formatting.datetimes import person
from audit.verify_export.formats import count_of


class ChainEntry(models.Model):
    """The position of an event in the chain.

    Positions have no gaps. They are given after the commit, since event ids do not follow the order
    of commits.
    """

    position = models.BigIntegerField(primary_key=True)
    event_id = models.BigIntegerField(unique=True)
    digest = models.CharField(max_length=64)
    chain_hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"Event {self.event_id} at position {self.position}"


class Checkpoint(models.Model):
    """A hash over a run of chain entries and the checkpoint before it, with a MAC."""

    number = models.BigIntegerField(primary_key=True)
    first_position = models.BigIntegerField()
    last_position = models.BigIntegerField(unique=True)
    settled_id = models.BigIntegerField()  # all events up to this id are in the chain
    created_at = models.DateTimeField()
    chain_hash = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64)
    key_id = models.CharField(max_length=8)
    hash = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]

    def __str__(self) -> str:
        return f"Checkpoint {self.number}"


class SignedCheckpoint(models.Model):
    """The number of events so far and the hash of the last, signed with the workers' key.

    It leaves the machine (audit/integrity/checkpoint_destinations.py).
    """

    size = models.BigIntegerField(primary_key=True)
    created_at = models.DateTimeField()
    note = models.TextField()

    class Meta:
        ordering = ["-size"]

    def __str__(self) -> str:
        return f"Signed checkpoint of {count_of(self.size, 'event')}"


class RetentionStub(models.Model):
    """Stands for positions that retention removed (audit/integrity/retention.py).

    Each continues the one before. ``note`` is signed with the workers' key.
    """

    first_position = models.BigIntegerField(unique=True)
    through_position = models.BigIntegerField(unique=True)
    through_checkpoint = models.BigIntegerField()
    events = models.BigIntegerField()
    previous_chain_hash = models.CharField(max_length=64)
    chain_hash = models.CharField(max_length=64)
    checkpoint_hash = models.CharField(max_length=64)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    removed_at = models.DateTimeField()
    hash = models.CharField(max_length=64)
    note = models.TextField()

    class Meta:
        ordering = ["-through_position"]

    def __str__(self) -> str:
        return f"Stub of {count_of(self.events, 'event')}"


class ChainState(models.Model):
    """The only row: lock and progress of the checkpoint writer, and the last verification's result.

    It proves nothing. A verification trusts checkpoints alone.
    """

    SINGLETON_PK = 1

    settled_id = models.BigIntegerField(default=0)
    observed_id = models.BigIntegerField(default=0)
    observed_writers = models.JSONField(default=list, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_by_label = models.CharField(max_length=320, blank=True)
    verified_event_id = models.BigIntegerField(null=True, blank=True)
    verified_checkpoint = models.BigIntegerField(default=0)
    verified_hash = models.CharField(max_length=64, blank=True)
    findings = models.PositiveIntegerField(default=0)
    first_finding = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"Settled through event {self.settled_id}"

    @property
    def verified_by_name(self) -> str:
        return person(self.verified_by_label)


class LogVerification(models.Model):
    """A verification of the whole log, requested on the page and run by a worker.

    The worker updates ``heartbeat_at``. When it stops, another worker starts the verification again.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting for a worker"
        RUNNING = "running", "Running"
        DONE = "done", "Done"

    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    slot = models.SmallIntegerField(null=True, unique=True, default=1)  # one at a time
    requested_by_id = models.BigIntegerField()
    requested_by_label = models.CharField(max_length=320)
    requested_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True, blank=True)
    user_agent = models.CharField(max_length=256, blank=True)
    worker = models.CharField(max_length=32, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
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
                name="only_done_verification_frees_slot",
            )
        ]

    def __str__(self) -> str:
        return f"Log verification requested by {self.requested_by_label}"

    @property
    def is_open(self) -> bool:
        return self.state != self.State.DONE

    @property
    def progress_token(self) -> str:
        """What changes with every step; empty once it is done."""
        return f"{self.pk}-{self.state}-{self.checked}" if self.is_open else ""
