"""What needs a person now: shown on every page of admins and auditors, and at the top of Status.

One query, however much there is, and one more with dual control.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q, Subquery
from django.urls import reverse

from accessflows.dual_control.selectors import has_second_admin
from accessflows.models import Integration
from apono_portal.core.formatting.durations import format_duration
from audit.models import ChainState, CheckpointDestination, Delivery, StreamDestination
from audit.verify_export.formats import count_of
from requests_app.models import WorkerHeartbeat

OUTBOX_LATE_AFTER = timedelta(minutes=15)
DESTINATION_LATE_AFTER = timedelta(hours=1)
WORKER_SHOWN_FOR = timedelta(hours=1)  # after its last heartbeat


@dataclass(frozen=True)
class Problem:
    """``title`` and ``text`` are sentences; ``command`` and ``url`` are where to begin."""

    title: str
    text: str
    command: str = ""
    url: str = ""
    link: str = ""


def current_problems(now: datetime, workers: list[WorkerHeartbeat] | None = None) -> list[Problem]:
    """Return what needs a person, the most urgent first. ``workers`` are those that were read already."""
    workers = recent_workers(now) if workers is None else workers
    return [
        *_worker_problems(workers, now),
        *_dual_control_problems(),
        *_other_problems(workers, now),
    ]


def recent_workers(now: datetime) -> list[WorkerHeartbeat]:
    """Return the workers that report, and those that stopped within the last hour.

    The first has as attributes what else may be wrong, so that a page needs one query for all of it.
    """
    late = Q(attempts__gt=0) & (Q(sent_at=None) | Q(sent_at__lt=now - DESTINATION_LATE_AFTER))
    findings = ChainState.objects.filter(pk=ChainState.SINGLETON_PK).values("findings")
    late_destination = CheckpointDestination.objects.filter(late).order_by("name").values("name")
    late_siem = StreamDestination.objects.filter(late).order_by("name").values("name")
    oldest = Delivery.objects.waiting().order_by("waiting_since").values("waiting_since")
    down = Integration.objects.filter(is_active=True, health=Integration.Health.DOWN)
    recent = WorkerHeartbeat.objects.filter(seen_at__gt=now - WORKER_SHOWN_FOR).annotate(
        findings=Subquery(findings),
        late_destination=Subquery(late_destination[:1]),
        late_siem=Subquery(late_siem[:1]),
        waiting_since=Subquery(oldest[:1]),
        target_down=Subquery(down.order_by("name").values("name")[:1]),
        targets_down=Subquery(down.order_by().values("health").annotate(n=Count("pk")).values("n")),
    )
    return list(recent.order_by("name"))


def is_superseded(worker: WorkerHeartbeat, workers: list[WorkerHeartbeat], now: datetime) -> bool:
    """Whether a worker that stopped reporting was started again on its machine."""
    return any(
        other.host == worker.host and other.is_running(now) for other in workers if other != worker
    )


def _worker_problems(workers: list[WorkerHeartbeat], now: datetime) -> Iterator[Problem]:
    if not any(worker.is_running(now) for worker in workers):
        yield Problem(
            "No worker is running.",
            "Access is neither provisioned nor revoked. Open sessions continue past their end, and so do "
            "logins on targets that enforce no end. Start one:",
            command="manage.py worker",
        )
        return
    for worker in workers:
        if not worker.is_running(now) and not is_superseded(worker, workers, now):
            yield Problem(
                f"{worker.name} is not reporting.",
                f"Its last heartbeat was {format_duration(now - worker.seen_at)} ago. Other workers do its "
                "work. On its machine:",
                command="systemctl status apono-portal-worker",
            )


def _other_problems(workers: list[WorkerHeartbeat], now: datetime) -> Iterator[Problem]:
    """Yield what is wrong with log, outbox and targets. Without a worker nobody knows."""
    if not workers:
        return
    state = vars(workers[0])
    target, count, waiting_since = (
        state[name] for name in ("target_down", "targets_down", "waiting_since")
    )
    yield from _log_problems(state["findings"], state["late_destination"], state["late_siem"])
    if waiting_since and now - waiting_since > OUTBOX_LATE_AFTER:
        yield Problem(
            "Notifications are late.",
            f"The oldest has waited for {format_duration(now - waiting_since)}.",
            url=f"{reverse('notifications:deliveries')}?state=waiting",
            link="See deliveries",
        )
    if target:
        others = f" and {count_of(count - 1, 'other target')}" if count > 1 else ""
        yield Problem(
            f"{target}{others} {'are' if others else 'is'} down.",
            "Access there is neither provisioned nor revoked until the target responds.",
            url=reverse("integrations:list"),
            link="See integrations",
        )


def _dual_control_problems() -> Iterator[Problem]:
    if settings.DUAL_CONTROL and not has_second_admin():
        yield Problem(
            "Nobody can confirm pending changes.",
            "Dual control is on, and fewer than two admins have MFA. Have a second admin set it up, or add "
            "one from the console:",
            command="manage.py add_admin",
            url=reverse("changes:list"),
            link="See pending changes",
        )


def _log_problems(
    findings: int | None, destination: str | None, siem: str | None
) -> Iterator[Problem]:
    if findings:
        yield Problem(
            "The audit log was changed.",
            "The last verification found events that were edited, deleted, inserted or reordered.",
            url=reverse("audit:verification"),
            link="See the findings",
        )
    if destination:
        yield Problem(
            "Audit checkpoints do not leave the portal.",
            f"{destination} has not accepted one for an hour.",
            url=reverse("audit:verification"),
            link="See why",
        )
    if siem:
        yield Problem(
            "Audit events do not reach the SIEM.",
            f"{siem} has accepted none for an hour. Nothing is lost: the stream goes on where it stopped.",
            url=reverse("status:status"),
            link="See why",
        )
