"""The worker keeps each day's figures: while it lasts, once more after it, and for ever."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from audit.events import EventName
from audit.services import record
from requests_app.insights import daily_rollup
from requests_app.insights.daily_rollup import PAUSE, update_daily_figures
from requests_app.models import DayFigures
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)


def happens(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        record(event=EventName.REQUEST_REJECT, actor=None)


def kept(day: int) -> int | None:
    row = DayFigures.objects.filter(day=date(2026, 5, day)).first()
    return row.figures["requests"]["rejected"] if row else None


def keep(at: datetime) -> None:
    with time_machine.travel(at, tick=False):
        update_daily_figures(at)


def test_today_is_counted_again_and_again():
    happens(NOON)
    keep(NOON)
    happens(NOON)
    keep(NOON + PAUSE / 2)
    assert kept(12) == 1
    keep(NOON + 2 * PAUSE)
    assert kept(12) == 2
    assert DayFigures.objects.get().coverage["people"] == 0


def test_a_day_is_counted_once_more_when_all_of_it_is_there():
    keep(NOON)
    happens(NOON + timedelta(hours=11, minutes=59))
    midnight = NOON + timedelta(hours=12)
    keep(midnight + timedelta(minutes=1))
    assert (kept(12), kept(13)) == (1, 0)
    assert not DayFigures.objects.get(day=date(2026, 5, 12)).is_final
    happens(midnight - timedelta(seconds=1))  # committed late
    keep(midnight + timedelta(minutes=61))
    assert kept(12) == 2
    assert DayFigures.objects.get(day=date(2026, 5, 12)).is_final


def test_what_is_final_is_not_counted_again():
    keep(NOON)
    keep(NOON + timedelta(days=2))
    happens(NOON)
    keep(NOON + timedelta(days=2, hours=1))
    assert kept(12) == 0


def test_days_from_before_there_were_figures_are_counted():
    UserFactory(created_at=NOON - timedelta(days=3))
    happens(NOON - timedelta(days=2))
    keep(NOON)
    assert [kept(day) for day in range(8, 13)] == [None, 0, 1, 0, 0]
    assert DayFigures.objects.filter(is_final=True).count() == 3


def test_a_long_past_is_counted_over_several_turns(monkeypatch):
    UserFactory(created_at=NOON - timedelta(days=3))
    monkeypatch.setattr(daily_rollup, "BUDGET_S", -1)
    keep(NOON)
    assert kept(11) is None
    monkeypatch.undo()
    keep(NOON + 2 * PAUSE)
    assert kept(9) == 0


def test_of_two_workers_one_counts(monkeypatch):
    keep(NOON)
    row = DayFigures.objects.get()
    assert daily_rollup._take_turn(row)
    assert not daily_rollup._take_turn(row)


def test_a_day_is_one_of_the_zone_pages_speak_in(settings):
    settings.TIME_ZONE = "Europe/Helsinki"
    happens(datetime(2026, 5, 11, 21, 30, tzinfo=UTC))  # half past midnight there
    keep(NOON)
    assert kept(12) == 1


def test_another_zone_has_days_of_its_own(settings):
    happens(datetime(2026, 5, 11, 21, 30, tzinfo=UTC))
    keep(NOON)
    settings.TIME_ZONE = "Europe/Helsinki"
    keep(NOON)
    assert DayFigures.objects.count() == 2
