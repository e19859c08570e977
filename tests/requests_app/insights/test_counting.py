"""Every figure of a day, against a day made by hand."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from audit.events import EventName
from audit.services import record
from requests_app.insights.aggregation import figures_between, slowest_tenth
from requests_app.insights.charts import bars_of, line_of, steps_for, width_of
from requests_app.insights.coverage import coverage_now
from requests_app.insights.report import in_words
from requests_app.models import GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    FlowTargetFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 5, 12, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


def told(name: str, *, at: datetime = NOON, times: int = 1, **fields) -> None:
    with time_machine.travel(at, tick=False):
        for _ in range(times):
            record(event=EventName(name), actor=None, **fields)


def figures() -> dict:
    return figures_between(DAY, DAY + timedelta(days=1))


def test_a_day_of_nothing_has_figures_of_nothing():
    found = figures()
    assert set(found["requests"].values()) == set(found["attacks"].values()) == {0}
    assert found["verifications"] == found["opening"] == found["flows"] == {}
    assert found["ending"] == {"retried": 0, "worst": {}}


def test_requests_count_by_outcome():
    said = {"activate": 5, "reject": 3, "lapse": 2, "cancel": 4, "fail": 1, "submit": 9}
    for verb, times in said.items():
        told(f"request:{verb}", times=times)
    expected = {"granted": 5, "rejected": 3, "lapsed": 2, "cancelled": 4, "failed": 1}
    assert figures()["requests"] == expected


def test_a_day_begins_with_its_first_instant_and_ends_before_the_next():
    for at in (DAY - timedelta(microseconds=1), DAY, DAY + timedelta(days=1)):
        told("request:reject", at=at)
    assert figures()["requests"]["rejected"] == 1


def test_attacks_count_by_what_was_done_about_them():
    said = {
        "session:sign_in_fail": 7,
        "session:lock_out": 2,
        "mfa:refuse": 6,
        "mfa:throttle": 3,
        "mfa:lock_out": 1,
    }
    for name, times in said.items():
        told(name, times=times)
    assert list(figures()["attacks"].values()) == [7, 2, 6, 3, 1]


def test_verifications_count_by_outcome():
    said = [("verify", "ok", 4), ("refuse", "bad", 3), ("refuse", "replay", 2)]
    said += [("throttle", "throttled", 1), ("refuse", "no_device", 1)]
    for verb, outcome, times in said:
        told(f"mfa:{verb}", times=times, metadata={"outcome": outcome})
    expected = {"ok": 4, "bad": 3, "replay": 2, "throttled": 1, "no_device": 1}
    assert figures()["verifications"] == expected


def opened(*, asked: datetime, after: timedelta, **fields):
    request = AccessRequestFactory(status=Status.ACTIVE, created_at=asked, **fields)
    request.starts_at = asked + after
    request.save()
    told("request:activate", at=asked + after, request=request, target=request)
    return request


def test_time_to_access_runs_from_asking_to_open_access():
    asked = DAY - timedelta(minutes=5)  # counts on the day it was opened
    for minutes in (6, 10, 50):
        opened(asked=asked, after=timedelta(minutes=minutes))
    opened(asked=asked, after=timedelta(minutes=4))  # the day before
    assert figures()["opening"] == {"median_s": 600, "slowest_s": 3000, "count": 3}


def test_the_slowest_tenth_begins_where_nine_tenths_end():
    assert slowest_tenth([float(n) for n in range(10, 0, -1)]) == 9
    assert slowest_tenth([5.0]) == 5


def cut(late_s: float, *, ends_as: str = Status.EXPIRED):
    request = AccessRequestFactory(status=Status.EXPIRED, ends_as=ends_as)
    grant = GrantFactory(
        request=request,
        state=GrantState.CONTAINED,
        deadline=NOON,
        contained_at=NOON + timedelta(seconds=late_s),
    )
    told("grant:contain", at=grant.contained_at, target=grant, request=request)
    return grant


def test_punctuality_is_the_time_from_the_deadline_to_the_cut():
    for late_s in (0.4, 5, 5.5, 60, 61, 300, 301):
        late = cut(late_s)
    cut(-600, ends_as=Status.REVOKED)  # by hand: no deadline was kept or missed
    ending = figures()["ending"]
    worst = {
        "late_s": 301,
        "request": late.request_id,
        "integration": late.integration_name,
    }
    assert ending.pop("worst") == worst
    assert ending == {"punctual": 2, "minute": 2, "five_minutes": 2, "later": 1, "retried": 0}


def test_a_cut_that_was_tried_again_counts_once_for_each_grant():
    grant, other = cut(2), cut(2)
    for each, step in ((grant, "contain"), (grant, "contain"), (other, "clean")):
        told("grant:retry", target=each, metadata={"step": step})
    assert figures()["ending"]["retried"] == 1
    assert figures()["ending"]["worst"] == {}


def test_flows_count_by_what_was_asked_through_them():
    target = FlowTargetFactory()
    for _ in range(2):
        request = AccessRequestFactory(flow=target.flow)
        told("request:submit", request=request)
    assert figures()["flows"] == {str(target.flow.pk): 2}


def test_coverage_counts_active_people_with_a_confirmed_authenticator():
    engineering, empty = GroupFactory(name="Engineering"), GroupFactory(name="Empty")
    people = UserFactory.create_batch(3, groups=[engineering])
    UserFactory(is_active=False, groups=[engineering, empty])
    AuthenticatorFactory(user=people[0])
    AuthenticatorFactory(user=people[1], confirmed=False)
    found = coverage_now()
    assert (found["people"], found["enrolled"]) == (3, 1)
    assert found["groups"] == [("Engineering", 3, 1)]


def test_in_need_are_those_who_may_ask_for_protected_access_without_mfa():
    group = GroupFactory()
    by_group, by_name, enrolled = UserFactory(groups=[group]), UserFactory(), UserFactory()
    AuthenticatorFactory(user=enrolled)
    UserFactory(groups=[group], is_active=False)
    flow = AccessFlowFactory(
        require_mfa=True, requester_groups=[group], requester_users=[by_name, enrolled, by_group]
    )
    AccessFlowFactory(requester_users=[UserFactory()])
    AccessFlowFactory(require_mfa=True, is_active=False, requester_users=[UserFactory()])
    assert coverage_now()["in_need"] == 2
    flow.requester_users.remove(by_name)
    assert coverage_now()["in_need"] == 1


@pytest.mark.parametrize(
    ("largest", "steps"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (33, [0, 10, 20, 30, 40]),
        (170, [0, 50, 100, 150, 200]),
    ],
)
def test_axes_have_round_numbers(largest, steps):
    assert steps_for(largest) == steps


def test_bars_stack_to_the_height_of_their_sum():
    days = [DAY.date(), NOON.date() + timedelta(days=1)]
    chart = bars_of(days, {"a": "A", "b": "B"}, [{"a": 3, "b": 1}, {}], what="things")
    low, high = chart.blocks
    assert (low.y, high.y) == (142 - 130 * 3 / 4, 12)
    assert [kind.total for kind in chart.kinds] == [3, 1]
    assert chart.finding == "3 a, 1 b. Most on 12 May: 4."


def test_a_line_leaves_out_days_without_a_value():
    days = [DAY.date() + timedelta(days=n) for n in range(3)]
    line = line_of("median", days, [0.0, None, 10.0], top=10, said="10 s")
    assert line.path.count("L") == 1
    assert (line.y, line.end.text) == (12, "10 s")


def test_what_there_is_shows_however_little():
    assert (width_of(0, 500), width_of(1, 500), width_of(500, 500)) == (0, 3, 236)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (41, "41 s"), (540, "9 min"), (7500, "2 h 5 min")]
)
def test_times_are_told_in_words(seconds, words):
    assert in_words(seconds) == words
