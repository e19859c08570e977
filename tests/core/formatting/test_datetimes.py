"""Dates relative to today."""

from datetime import UTC, datetime

import pytest
import time_machine

from apono_portal.core.formatting.datetimes import day_suffix, relative_datetime

NOW = datetime(2026, 5, 12, 14, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "text", "suffix"),
    [
        (datetime(2026, 5, 12, 23, 59, tzinfo=UTC), "23:59", ""),
        (datetime(2026, 5, 13, 0, 1, tzinfo=UTC), "tomorrow 00:01", " tomorrow"),
        (datetime(2026, 6, 11, 14, 11, tzinfo=UTC), "11 Jun, 14:11", " on 11 Jun"),
        (datetime(2027, 5, 12, 14, 11, tzinfo=UTC), "12 May 2027, 14:11", " on 12 May"),
    ],
)
def test_it_names_other_days(instant: datetime, text: str, suffix: str) -> None:
    with time_machine.travel(NOW, tick=False):
        assert (relative_datetime(instant), day_suffix(instant)) == (text, suffix)
