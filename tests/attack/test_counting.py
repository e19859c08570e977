"""The campaign's figures: what falls into a period, what a guess is worth, the table."""

import pytest

from bench.attack.people import Person, UsedSteps
from bench.attack.scoring import DAY_S, CheckedGuesses, Score, guess_chance, max_within
from bench.report import format_table


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
    assert max_within(instants, DAY_S) == most


def test_the_bars_are_those_of_the_limits() -> None:
    assert guess_chance(20) == pytest.approx(6e-5)
    assert guess_chance(100) == pytest.approx(3e-4)


def test_the_worst_of_several_victims_counts() -> None:
    guesses = CheckedGuesses()
    guesses.instants["one"] = [1.0, 2.0]
    guesses.instants["two"] = [1.0, 2.0, 3.0]
    assert (guesses.per_day, guesses.per_month) == (3, 3)


def test_a_score_keeps_each_detail_once() -> None:
    score = Score("x")
    score.add_attempts(3)
    score.add_success("a window")
    score.add_success("a window")
    assert score.as_dict() == {"name": "x", "attempts": 3, "successes": 2}
    assert score.details == ["a window"]


def test_a_table_has_numbers_on_the_right() -> None:
    text = format_table([("stuffing", 12_000), ("replay", 7)], ("attack", "attempts"))
    assert text.splitlines()[2:] == ["stuffing    12,000", "replay           7"]


# The key of RFC 6238, appendix B, in base32.
PERSON = Person("x", 1, "x@example.org", "secret", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@pytest.mark.parametrize(
    ("at", "code"), [(59, "287082"), (1111111109, "081804"), (20000000000, "353130")]
)
def test_robots_know_the_codes_of_the_standard(at: int, code: str) -> None:
    """RFC 6238, appendix B, its last six digits."""
    assert PERSON.code(at) == code
    assert PERSON.code(at - 30, steps=1) == code


def test_a_code_is_handed_out_once() -> None:
    used = UsedSteps()
    codes = [used.next_code(PERSON, 6020.0) for _ in range(3)]
    assert codes == [PERSON.code(6000), PERSON.code(6030), ""]
