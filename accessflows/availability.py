"""When a flow can be requested: always, or on some days between two times of day in a time zone.

Times are local to that zone, so daylight saving moves the instant and never the hour.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Availability:
    """``days`` are 0 (Monday) to 6. Open from ``start`` until just before ``end``; an ``end`` that is not
    later than ``start`` is on the following day, which need not be among ``days``."""

    days: frozenset[int]
    start: time
    end: time
    zone: str

    @classmethod
    def of(
        cls, days: Iterable[int], start: time | None, end: time | None, zone: str
    ) -> "Availability | None":
        """Build the availability from its fields; None means always."""
        selected = frozenset(days)
        if not selected or start is None or end is None:
            return None
        return cls(selected, start, end, zone)

    def holds_at(self, now: datetime) -> bool:
        """Tell whether the flow can be requested at this instant."""
        local = now.astimezone(ZoneInfo(self.zone))
        today, clock = local.weekday(), local.time()
        if self.start < self.end:
            return today in self.days and self.start <= clock < self.end
        opened_today = today in self.days and clock >= self.start
        opened_yesterday = (today - 1) % 7 in self.days and clock < self.end
        return opened_today or opened_yesterday

    def next_opening(self, now: datetime) -> datetime:
        """Return the next instant at which it opens, in its zone. A time that daylight saving skips
        counts as the first one after the gap."""
        zone = ZoneInfo(self.zone)
        day = now.astimezone(zone).date()
        while True:
            opens = datetime.combine(day, self.start, tzinfo=zone).astimezone(UTC).astimezone(zone)
            if day.weekday() in self.days and opens > now:
                return opens
            day += _ONE_DAY

    def __str__(self) -> str:
        until = f"{self.end:%H:%M}" + ("" if self.start < self.end else " the next day")
        return f"{self._days_text()}, {self.start:%H:%M} to {until}, {self.zone}"

    def _days_text(self) -> str:
        """Return "Mon to Fri" for three or more days in a row, else the days one by one."""
        ordered = sorted(self.days)
        if len(ordered) == len(DAYS):
            return "Every day"
        first, last = ordered[0], ordered[-1]
        if len(ordered) > 2 and last - first == len(ordered) - 1:
            return f"{DAYS[first]} to {DAYS[last]}"
        return ", ".join(DAYS[day] for day in ordered)
