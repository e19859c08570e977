"""The worker computes each day's figures: during the day, once after it, then never again."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from audit.events import EventName
from audit.services import record
from requests_app.insights import daily_rollup
from requests_app.insights.daily_rollup import MIN_INTERVAL, update_daily_figures
from requests_app.models import DayFigures
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)


def reject_request(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        record(event=EventName.REQUEST_REJECT, actor=None)


def rejected_on(day: int) -> int | None:
    row = DayFigures.objects.filter(day=date(2026, 5, day)).first()
    return row.figures["requests"]["rejected"] if row else None


def run_at(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        update_daily_figures(at)


def test_today_is_computed_at_intervals():
    reject_request(NOON)
    run_at(NOON)
    reject_request(NOON)
    run_at(NOON + MIN_INTERVAL / 2)
    assert rejected_on(12) == 1
    run_at(NOON + 2 * MIN_INTERVAL)
    assert rejected_on(12) == 2
    assert DayFigures.objects.get().coverage["users"] == 0


def test_day_is_computed_once_more_after_it_is_over():
    run_at(NOON)
    reject_request(NOON + timedelta(hours=11, minutes=59))
    midnight = NOON + timedelta(hours=12)
    run_at(midnight + timedelta(minutes=1))
    assert (rejected_on(12), rejected_on(13)) == (1, 0)
    assert not DayFigures.objects.get(day=date(2026, 5, 12)).is_final
    reject_request(midnight - timedelta(seconds=1))  # committed late
    run_at(midnight + timedelta(minutes=61))
    assert rejected_on(12) == 2
    assert DayFigures.objects.get(day=date(2026, 5, 12)).is_final


def test_final_day_is_not_computed_again():
    run_at(NOON)
    run_at(NOON + timedelta(days=2))
    reject_request(NOON)
    run_at(NOON + timedelta(days=2, hours=1))
    assert rejected_on(12) == 0


def test_past_days_without_figures_are_backfilled():
    UserFactory(created_at=NOON - timedelta(days=3))
    reject_request(NOON - timedelta(days=2))
    run_at(NOON)
    assert [rejected_on(day) for day in range(8, 13)] == [None, 0, 1, 0, 0]
    assert DayFigures.objects.filter(is_final=True).count() == 3


def test_backfill_continues_on_the_next_run(monkeypatch):
    UserFactory(created_at=NOON - timedelta(days=3))
    monkeypatch.setattr(daily_rollup, "BACKFILL_SECONDS", -1)
    run_at(NOON)
    assert rejected_on(11) is None
    monkeypatch.undo()
    run_at(NOON + 2 * MIN_INTERVAL)
    assert rejected_on(9) == 0


def test_only_one_of_two_workers_claims_a_day():
    run_at(NOON)
    row = DayFigures.objects.get()
    assert daily_rollup._claim(row)
    assert not daily_rollup._claim(row)


def test_days_are_those_of_the_portals_time_zone(settings):
    settings.TIME_ZONE = "Europe/Helsinki"
    reject_request(datetime(2026, 5, 11, 21, 30, tzinfo=UTC))  # half past midnight there
    run_at(NOON)
    assert rejected_on(12) == 1


def test_each_time_zone_has_its_own_days(settings):
    reject_request(datetime(2026, 5, 11, 21, 30, tzinfo=UTC))
    run_at(NOON)
    settings.TIME_ZONE = "Europe/Helsinki"
    run_at(NOON)
    assert DayFigures.objects.count() == 2
