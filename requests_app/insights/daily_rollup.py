"""The worker's side: a day's figures are counted while it lasts, once more after it, then kept.

Pages read what is kept, so they cost the same however much there is to count. What was counted also
outlives the events it was counted from (audit/integrity/retention.py).
"""

import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone

from requests_app.insights.aggregation import figures_between
from requests_app.insights.coverage import coverage_now
from requests_app.models import AccessRequest, DayFigures

PAUSE = timedelta(minutes=1)
SHARE = 20  # of a worker's time, counting takes at most one part in this
TURN = timedelta(minutes=10)  # after which another worker counts what one has begun
SETTLED_AFTER = timedelta(hours=1)  # longer than any transaction that writes events
LOOKS_BACK = timedelta(days=400)
BUDGET_S = 5.0
ONE_DAY = timedelta(days=1)


def keep_figures(now: datetime) -> int:
    """Count the days whose turn has come. Returns 0: no grant waits for this."""
    today = day_of(now)
    open_days = {row.day: row for row in DayFigures.objects.in_zone(zone()).filter(is_final=False)}
    if today not in open_days:
        first = DayFigures(day=today, zone=zone(), next_at=now)
        DayFigures.objects.bulk_create([first], ignore_conflicts=True)
        open_days[today] = DayFigures.objects.in_zone(zone()).get(day=today)
    for row in open_days.values():
        if row.next_at <= now and _take_turn(row):
            _count(row, now)
            if row.day == today:
                _fill_gaps(today, now)
    return 0


def zone() -> str:
    """Return the zone whose days are counted: the one pages speak in."""
    return timezone.get_default_timezone_name()


def day_of(moment: datetime) -> date:
    return timezone.localdate(moment, timezone.get_default_timezone())


def start_of(day: date) -> datetime:
    return timezone.make_aware(
        datetime.combine(day, datetime.min.time()), timezone.get_default_timezone()
    )


def _take_turn(row: DayFigures) -> bool:
    """Move the turn away from where it was seen; of several workers one succeeds."""
    seen = DayFigures.objects.filter(pk=row.pk, next_at=row.next_at, is_final=False)
    return seen.update(next_at=timezone.now() + TURN) == 1


def _count(row: DayFigures, now: datetime) -> None:
    began = time.monotonic()
    row.figures = figures_between(start_of(row.day), start_of(row.day + ONE_DAY))
    if row.day == day_of(now):
        row.coverage = coverage_now()
    row.is_final = _is_settled(row.day, now)
    row.counted_at = now
    took = timedelta(seconds=time.monotonic() - began)
    row.next_at = now + max(PAUSE, SHARE * took)
    row.save()


def _is_settled(day: date, now: datetime) -> bool:
    return now >= start_of(day + ONE_DAY) + SETTLED_AFTER


def _fill_gaps(today: date, now: datetime) -> None:
    """Count days of before there were figures, newest first, as far as time allows."""
    earliest = max(today - LOOKS_BACK, _beginning(today))
    kept = DayFigures.objects.in_zone(zone()).filter(day__gte=earliest)
    known = set(kept.values_list("day", flat=True))
    give_up_at = time.monotonic() + BUDGET_S
    for day in _days_back(today - ONE_DAY, earliest):
        if time.monotonic() > give_up_at:
            return
        if day not in known:
            figures = figures_between(start_of(day), start_of(day + ONE_DAY))
            row = DayFigures(day=day, zone=zone(), figures=figures, counted_at=now, next_at=now)
            row.is_final = _is_settled(day, now)
            DayFigures.objects.bulk_create([row], ignore_conflicts=True)


def _beginning(today: date) -> date:
    """Return the day from which on there can be anything to count."""
    people = get_user_model()._default_manager.order_by("pk").values_list("created_at", flat=True)
    requests = AccessRequest.objects.order_by("pk").values_list("created_at", flat=True)
    found = [moment for moment in (people.first(), requests.first()) if moment]
    return min(map(day_of, found), default=today)


def _days_back(last: date, first: date) -> Iterator[date]:
    while last >= first:
        yield last
        last -= ONE_DAY
