"""The campaign's figures: what falls into a period, what a guess is worth, the table."""

import pytest

from bench.attack.people import totp
from bench.attack.tally import DAY_S, Patience, Score, guess_chance, most_within, table


@pytest.mark.parametrize(
    ("instants", "most"),
    [
        ([], 0),
        ([5], 1),
        ([0, 1, 2], 3),
        ([0, DAY_S], 1),
        ([0, DAY_S - 1], 2),
        ([9, 0, DAY_S + 1], 2),
    ],
)
def test_the_fullest_day_is_counted(instants: list[float], most: int) -> None:
    assert most_within(instants, DAY_S) == most


def test_the_bars_are_those_of_the_limits() -> None:
    assert guess_chance(20) == pytest.approx(6e-5)
    assert guess_chance(100) == pytest.approx(3e-4)


def test_the_worst_of_several_victims_counts() -> None:
    patience = Patience()
    patience.scanned_at["one"] = [1.0, 2.0]
    patience.scanned_at["two"] = [1.0, 2.0, 3.0]
    assert (patience.per_day, patience.per_month) == (3, 3)


def test_a_score_keeps_what_was_got_once() -> None:
    score = Score("x")
    score.tried(3)
    score.got("a window")
    score.got("a window")
    assert score.as_dict() == {"name": "x", "attempts": 3, "successes": 2, "seen": ["a window"]}


def test_a_table_has_numbers_on_the_right() -> None:
    text = table([("stuffing", 12_000), ("replay", 7)], ("attack", "attempts"))
    assert text.splitlines()[2:] == ["stuffing    12,000", "replay           7"]


@pytest.mark.parametrize(
    ("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")]
)
def test_robots_know_the_codes_of_the_standard(at: int, code: str) -> None:
    """RFC 6238, appendix B, its last six digits."""
    assert totp(b"12345678901234567890", at) == code
