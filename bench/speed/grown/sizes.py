"""How large the database is made, one size after the other."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Size:
    """``events`` are ten for each person; each request has ten of them."""

    people: int

    @property
    def events(self) -> int:
        return self.people * 10

    @property
    def requests(self) -> int:
        return self.people

    def __str__(self) -> str:
        return f"{self.people:,} people"


@dataclass(frozen=True)
class Growth:
    """One step from a size to the next, and the days in which what is added happened."""

    before: Size
    after: Size
    since: datetime
    until: datetime


def growths(sizes: list[int]) -> list[Growth]:
    """The last step ends now, each before it some months earlier."""
    now = datetime.now(UTC).replace(microsecond=0)
    steps = [Size(0), *(Size(people) for people in sizes)]
    moments = [now - timedelta(days=100 * left) for left in range(len(sizes), -1, -1)]
    return [
        Growth(steps[at], steps[at + 1], moments[at], moments[at + 1]) for at in range(len(sizes))
    ]
