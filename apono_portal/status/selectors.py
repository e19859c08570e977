"""What the Status page shows, read with a constant number of queries."""

import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Min
from django.utils import timezone

import apono_portal
from accessflows.models import Integration
from apono_portal.api.models import ApiToken
from apono_portal.core.formatting.durations import format_duration
from apono_portal.status.problems import is_superseded
from audit.models import Delivery, StreamDestination
from requests_app.models import WorkerHeartbeat

EXPIRES_SOON = timedelta(days=30)
MAX_TARGETS = 100
MAX_TOKENS = 20
STARTED_AT = timezone.now()


@dataclass(frozen=True)
class WorkerRow:
    """A worker. ``minutes`` are the last 30, oldest first: "on", "off", or "none" before its start."""

    name: str
    is_running: bool
    can_sign: bool
    minutes: list[str]
    last_seen: str
    seen_at: datetime


@dataclass(frozen=True)
class Expiry:
    """Something that expires, and whether it does so soon."""

    name: str
    kind: str
    at: datetime
    left: str
    is_soon: bool


@dataclass(frozen=True)
class Outbox:
    """Deliveries that were not sent yet."""

    waiting: int
    oldest_for: str


@dataclass(frozen=True)
class Version:
    """The running release, its database and its machine."""

    portal: str
    revision: str
    database: str
    pending_migrations: int
    started_at: datetime
    clock_difference_s: float
    free_disk: str


def worker_rows(workers: list[WorkerHeartbeat], now: datetime) -> list[WorkerRow]:
    """Return the rows of workers, without those that were started again."""
    return [
        WorkerRow(
            worker.name,
            worker.is_running(now),
            worker.can_sign,
            worker.minutes_before(now),
            _ago(now - worker.seen_at),
            worker.seen_at,
        )
        for worker in workers
        if worker.is_running(now) or not is_superseded(worker, workers, now)
    ]


def _ago(passed: timedelta) -> str:
    """Return a time in whole minutes, or in seconds below one."""
    if passed < timedelta(minutes=1):
        return f"{max(int(passed.total_seconds()), 0)} s ago"
    return f"{format_duration(passed // timedelta(minutes=1) * timedelta(minutes=1))} ago"


def active_targets() -> list[Integration]:
    return list(Integration.objects.filter(is_active=True).order_by("name")[:MAX_TARGETS])


def expiries(targets: list[Integration], now: datetime) -> list[Expiry]:
    """Return the certificates of targets and the API tokens that expire soon, the soonest first."""
    certificates = [
        (target.name, "CA certificate", _first_end(target.ca_certificates))
        for target in targets
        if target.ca_certificates
    ]
    tokens = ApiToken.objects.not_over(now).filter(expires_at__lt=now + EXPIRES_SOON)
    tokens = tokens.select_related("user").order_by("expires_at")
    api_tokens = [
        (token.name, f"API token of {token.user.name}", token.expires_at)
        for token in tokens[:MAX_TOKENS]
    ]
    return [
        Expiry(name, kind, at, _left(at, now), at - now < EXPIRES_SOON)
        for name, kind, at in sorted([*certificates, *api_tokens], key=lambda it: it[2])
    ]


def outbox(now: datetime) -> Outbox:
    waiting = Delivery.objects.waiting().aggregate(number=Count("pk"), since=Min("waiting_since"))
    since = waiting["since"]
    return Outbox(waiting["number"], format_duration(now - since) if since else "")


def siems() -> list[StreamDestination]:
    return list(StreamDestination.objects.all())


def version(now: datetime) -> Version:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return Version(
        portal=apono_portal.__version__,
        revision=settings.PORTAL_REVISION[:12],
        database=_database_version(),
        pending_migrations=len(plan),
        started_at=STARTED_AT,
        clock_difference_s=_clock_difference_s(),
        free_disk=f"{shutil.disk_usage(settings.BASE_DIR).free / 1e9:,.1f} GB",
    )


def _first_end(pem: str) -> datetime:
    certificates = x509.load_pem_x509_certificates(pem.encode())
    return min(certificate.not_valid_after_utc for certificate in certificates)


def _left(at: datetime, now: datetime) -> str:
    return f"{(at - now).days} days" if at > now else "Expired"


def _database_version() -> str:
    if connection.vendor == "postgresql":
        number = connection.cursor().connection.info.server_version
        return f"PostgreSQL {number // 10000}.{number % 10000}"
    return "SQLite"


def _clock_difference_s() -> float:
    """Return how far this machine's clock is from the database's; SQLite has none of its own."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        [at] = cursor.fetchone()
        after = timezone.now()
    return float((at - (before + (after - before) / 2)).total_seconds())
