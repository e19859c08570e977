"""Durations are parsed as people write them and formatted so that they parse again."""

from datetime import timedelta

import pytest

from apono_portal.core.formatting.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("1h", 60),
        ("8 h", 480),
        ("90m", 90),
        ("45 min", 45),
        ("1.5", 90),
        ("1,5h", 90),
        ("2h 30m", 150),
        ("2h30m", 150),
        ("2 hours 30 minutes", 150),
        ("1h30", 90),
        ("1:30", 90),
        ("0:05", 5),
        ("1 day", 1440),
        ("1 D 2 H", 1560),
        ("  1 H ", 60),
        ("1.34", 80),
    ],
)
def test_it_parses_durations_as_people_write_them(text, minutes):
    assert parse_duration(text) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0h", "0:00", "0.001", "-1h", "-1", "+1h", "NaN", "inf", "infinity", "1e3", "1e400",
        "9999999999", "366 days", "1h1h", "30m 1h", "1:60", "1:5", "1:30:00", "h", "an hour", "1h;", "1h\n2h x",
        "\uff11h", "\u0663h", "\u00b2", "1 . 5", "1.", ".5", "1.5.5", "0x10", "1_0", "1h" * 5000, "1\x00h",
    ],
)  # fmt: skip
def test_it_refuses_what_is_not_a_duration(text):
    with pytest.raises(ValueError, match=r"duration.*Examples"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(hours=8), "8 h"),
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (timedelta(minutes=45), "45 min"),
        (timedelta(hours=24), "24 h"),
        (timedelta(days=2, hours=4), "2 d 4 h"),
        (timedelta(seconds=90), "1 min 30 s"),
        (timedelta(0), "0 min"),
    ],
)
def test_it_formats_durations_in_units(duration, text):
    assert format_duration(duration) == text


def test_a_formatted_duration_parses_again():
    for minutes in (1, 59, 60, 61, 1439, 1440, 2880, 4321):
        assert parse_duration(format_duration(timedelta(minutes=minutes))) == timedelta(
            minutes=minutes
        )
