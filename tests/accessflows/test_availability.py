"""When a flow can be requested."""

from dataclasses import replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
import time_machine

from accessflows.availability import Availability
from accessflows.exceptions import InvalidInput
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from requests_app.exceptions import RequestRefused
from tests.factories import AccessFlowFactory, UserFactory
from tests.fixtures.submission import submit_request

HELSINKI = ZoneInfo("Europe/Helsinki")
OFFICE = Availability(frozenset(range(5)), time(8), time(18), "Europe/Helsinki")
NIGHT = Availability(frozenset({4}), time(22), time(6), "Europe/Helsinki")


@pytest.mark.parametrize(
    ("here", "open_then"),
    [
        (datetime(2026, 5, 11, 7, 59, 59, tzinfo=HELSINKI), False),
        (datetime(2026, 5, 11, 8, 0, tzinfo=HELSINKI), True),
        (datetime(2026, 5, 11, 17, 59, 59, tzinfo=HELSINKI), True),
        (datetime(2026, 5, 11, 18, 0, tzinfo=HELSINKI), False),
        (datetime(2026, 5, 16, 12, 0, tzinfo=HELSINKI), False),
    ],
)
def test_office_hours_follow_the_local_time_of_their_zone(here, open_then):
    assert OFFICE.holds_at(here.astimezone(UTC)) is open_then


@pytest.mark.parametrize(
    ("here", "open_then"),
    [
        (datetime(2026, 5, 15, 21, 59, tzinfo=HELSINKI), False),
        (datetime(2026, 5, 15, 22, 0, tzinfo=HELSINKI), True),
        (datetime(2026, 5, 16, 5, 59, tzinfo=HELSINKI), True),
        (datetime(2026, 5, 16, 6, 0, tzinfo=HELSINKI), False),
        (datetime(2026, 5, 15, 5, 0, tzinfo=HELSINKI), False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_they_start(here, open_then):
    assert NIGHT.holds_at(here) is open_then


def test_daylight_saving_moves_the_instant_and_not_the_hour():
    winter = datetime(2026, 3, 27, 6, 30, tzinfo=UTC)  # Friday before the change: 08:30 there
    summer = datetime(2026, 3, 30, 5, 30, tzinfo=UTC)  # Monday after it: 08:30 there
    assert OFFICE.holds_at(winter)
    assert OFFICE.holds_at(summer)
    assert not OFFICE.holds_at(datetime(2026, 3, 27, 5, 30, tzinfo=UTC))


def test_an_opening_that_the_spring_change_skips_is_right_after_the_gap():
    sunday = Availability(frozenset({6}), time(3, 30), time(12), "Europe/Helsinki")
    opens = sunday.next_opening(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert opens.astimezone(UTC) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert sunday.holds_at(datetime(2026, 3, 29, 1, 30, tzinfo=UTC))


def test_the_repeated_hour_of_autumn_is_open_both_times():
    early = Availability(frozenset({6}), time(3), time(4), "Europe/Helsinki")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert early.holds_at(first)
    assert early.holds_at(second)


def test_it_opens_next_on_the_following_working_day():
    saturday = datetime(2026, 5, 16, 12, tzinfo=HELSINKI)
    assert OFFICE.next_opening(saturday) == datetime(2026, 5, 18, 8, tzinfo=HELSINKI)


def test_hours_are_described():
    assert str(OFFICE) == "Mon to Fri, 08:00 to 18:00, Europe/Helsinki"
    assert str(NIGHT) == "Fri, 22:00 to 06:00 the next day, Europe/Helsinki"


def office_flow(requester):
    return AccessFlowFactory(
        requester_users=[requester],
        targets=1,
        available_days=[0, 1, 2, 3, 4],
        available_from=time(8),
        available_until=time(18),
        available_zone="Europe/Helsinki",
    )


@pytest.mark.parametrize(("hour", "refused"), [(12, False), (20, True)])
def test_a_request_is_refused_outside_the_hours(db, hour, refused):
    requester = UserFactory()
    flow = office_flow(requester)
    arguments = {
        "actor": requester,
        "flow": flow,
        "target_ids": [flow.targets.get().pk],
        "duration": flow.max_duration,
        "justification": "Look into order 1042",
        "window": None,
    }
    with time_machine.travel(datetime(2026, 5, 11, hour, tzinfo=HELSINKI), tick=False):
        if refused:
            with pytest.raises(RequestRefused, match="Tuesday 12 May at 08:00"):
                submit_request(**arguments)
        else:
            assert submit_request(**arguments).pk


@pytest.mark.parametrize(
    "terms",
    [
        {"available_days": (7,)},
        {"available_days": ()},
        {"available_from": None},
        {"available_until": time(8)},
        {"available_zone": "Mars/Olympus"},
    ],
)
def test_terms_that_name_no_hours_are_refused(db, terms):
    valid = FlowInput.of(office_flow(UserFactory()))
    others = replace(valid, name="Another name")
    check_terms(others)
    with pytest.raises(InvalidInput) as refused:
        check_terms(replace(others, **terms))
    assert "available_days" in refused.value.errors
