"""The worker task that computes each day's figures: during the day, once after it, then never again.

Pages read what is stored, so they cost the same however many events there are, and the figures
outlive the events (audit/integrity/retention.py).
"""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone

from requests_app.insights.aggregation import figures_between
from requests_app.insights.coverage import coverage_now
from requests_app.models import AccessRequest, DayFigures

MIN_INTERVAL = timedelta(minutes=1)
MAX_TIME_SHARE = 20  # one part in 20 of a worker's time at most
CLAIM_LIFETIME = timedelta(minutes=10)  # after which another worker takes over
SETTLED_AFTER = timedelta(hours=1)  # longer than any transaction that writes events
BACKFILL_PERIOD = timedelta(days=400)
BACKFILL_SECONDS = 5.0
ONE_DAY = timedelta(days=1)


def update_daily_figures(now: datetime) -> int:
    """Compute the days that are due. Return 0, as a worker task that leaves no work behind."""
    today = day_of(now)
    open_days = {row.day: row for row in DayFigures.objects.in_zone(zone()).filter(is_final=False)}
    if today not in open_days:
        first = DayFigures(day=today, zone=zone(), next_at=now)
        DayFigures.objects.bulk_create([first], ignore_conflicts=True)
        open_days[today] = DayFigures.objects.in_zone(zone()).get(day=today)
    for row in open_days.values():
        if row.next_at <= now and _claim(row):
            _compute(row, now)
            if row.day == today:
                _backfill(today, now)
    return 0


def zone() -> str:
    """Return the time zone whose days are counted: the one pages are shown in."""
    return timezone.get_default_timezone_name()


def day_of(moment: datetime) -> date:
    return timezone.localdate(moment, timezone.get_default_timezone())


def start_of(day: date) -> datetime:
    midnight = datetime.combine(day, datetime.min.time())
    return timezone.make_aware(midnight, timezone.get_default_timezone())


def _claim(row: DayFigures) -> bool:
    """Postpone the next run; of several workers one succeeds."""
    unclaimed = DayFigures.objects.filter(pk=row.pk, next_at=row.next_at, is_final=False)
    return unclaimed.update(next_at=timezone.now() + CLAIM_LIFETIME) == 1


def _compute(row: DayFigures, now: datetime) -> None:
    started = time.monotonic()
    row.figures = figures_between(start_of(row.day), start_of(row.day + ONE_DAY))
    if row.day == day_of(now):
        row.coverage = coverage_now()
    row.is_final = _is_settled(row.day, now)
    row.counted_at = now
    duration = timedelta(seconds=time.monotonic() - started)
    row.next_at = now + max(MIN_INTERVAL, MAX_TIME_SHARE * duration)
    row.save()


def _is_settled(day: date, now: datetime) -> bool:
    return now >= start_of(day + ONE_DAY) + SETTLED_AFTER


def _backfill(today: date, now: datetime) -> None:
    """Compute past days without figures, newest first, as far as time allows."""
    earliest = max(today - BACKFILL_PERIOD, _first_day(today))
    rows = DayFigures.objects.in_zone(zone()).filter(day__gte=earliest)
    computed = set(rows.values_list("day", flat=True))
    stop_at = time.monotonic() + BACKFILL_SECONDS
    for day in _days_back(today - ONE_DAY, earliest):
        if time.monotonic() > stop_at:
            return
        if day not in computed:
            figures = figures_between(start_of(day), start_of(day + ONE_DAY))
            row = DayFigures(day=day, zone=zone(), figures=figures, counted_at=now, next_at=now)
            row.is_final = _is_settled(day, now)
            DayFigures.objects.bulk_create([row], ignore_conflicts=True)


def _first_day(today: date) -> date:
    """Return the first day on which there can be anything to count."""
    users = get_user_model()._default_manager.order_by("pk").values_list("created_at", flat=True)
    requests = AccessRequest.objects.order_by("pk").values_list("created_at", flat=True)
    moments = filter(None, [users.first(), requests.first()])
    return min(map(day_of, moments), default=today)


def _days_back(last: date, first: date) -> Iterator[date]:
    while last >= first:
        yield last
        last -= ONE_DAY
