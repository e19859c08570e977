"""The figures of a day, computed from events written by hand."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from audit.events import EventName
from audit.services import record
from requests_app.insights.aggregation import figures_between, slowest_tenth
from requests_app.insights.charts import bars_of, line_of, ticks_for, width_of
from requests_app.insights.coverage import coverage_now
from requests_app.insights.report import short_duration
from requests_app.models import GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    FlowTargetFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 5, 12, tzinfo=UTC)
NOON = DAY + timedelta(hours=12)


def record_event(name: str, *, at: datetime = NOON, times: int = 1, **fields) -> None:
    with time_machine.travel(at, tick=False):
        for _ in range(times):
            record(event=EventName(name), actor=None, **fields)


def figures() -> dict:
    return figures_between(DAY, DAY + timedelta(days=1))


def test_day_without_events_has_no_figures():
    day = figures()
    assert set(day["requests"].values()) == set(day["attacks"].values()) == {0}
    assert day["verifications"] == day["time_to_access"] == day["flows"] == {}
    assert day["revocations"] == {"retried": 0, "worst": {}}


def test_requests_count_by_outcome():
    counts = {"activate": 5, "reject": 3, "lapse": 2, "cancel": 4, "fail": 1, "submit": 9}
    for verb, times in counts.items():
        record_event(f"request:{verb}", times=times)
    expected = {"granted": 5, "rejected": 3, "lapsed": 2, "cancelled": 4, "failed": 1}
    assert figures()["requests"] == expected


def test_verifications_count_by_method():
    for method, times in {"code": 3, "passkey": 2, "recovery": 1}.items():
        record_event("mfa:verify", times=times, metadata={"method": method})
    record_event("mfa:refuse", metadata={"method": "passkey"})
    assert figures()["methods"] == {"code": 3, "passkey": 2, "recovery": 1}


def test_day_includes_its_first_instant_but_not_the_next_days():
    for at in (DAY - timedelta(microseconds=1), DAY, DAY + timedelta(days=1)):
        record_event("request:reject", at=at)
    assert figures()["requests"]["rejected"] == 1


def test_attacks_count_by_outcome():
    counts = {
        "session:sign_in_fail": 7,
        "session:lock_out": 2,
        "mfa:refuse": 6,
        "mfa:throttle": 3,
        "mfa:lock_out": 1,
    }
    for name, times in counts.items():
        record_event(name, times=times)
    assert list(figures()["attacks"].values()) == [7, 2, 6, 3, 1]


def test_verifications_count_by_outcome():
    outcomes = [("verify", "ok", 4), ("refuse", "bad", 3), ("refuse", "replay", 2)]
    outcomes += [("throttle", "throttled", 1), ("refuse", "no_device", 1)]
    for verb, outcome, times in outcomes:
        record_event(f"mfa:{verb}", times=times, metadata={"outcome": outcome})
    expected = {"ok": 4, "bad": 3, "replay": 2, "throttled": 1, "no_device": 1}
    assert figures()["verifications"] == expected


def activate(*, requested: datetime, after: timedelta, **fields):
    request = AccessRequestFactory(status=Status.ACTIVE, created_at=requested, **fields)
    request.starts_at = requested + after
    request.save()
    record_event("request:activate", at=requested + after, request=request, target=request)
    return request


def test_time_to_access_runs_from_request_to_activation():
    requested = DAY - timedelta(minutes=5)  # counts on the day of the activation
    for minutes in (6, 10, 50):
        activate(requested=requested, after=timedelta(minutes=minutes))
    activate(requested=requested, after=timedelta(minutes=4))  # the day before
    assert figures()["time_to_access"] == {"median_s": 600, "slowest_s": 3000, "count": 3}


def test_slowest_tenth_is_the_90th_percentile():
    assert slowest_tenth([float(n) for n in range(10, 0, -1)]) == 9
    assert slowest_tenth([5.0]) == 5


def contain(delay_s: float, *, final_status: str = Status.EXPIRED):
    request = AccessRequestFactory(status=Status.EXPIRED, final_status=final_status)
    grant = GrantFactory(
        request=request,
        state=GrantState.CONTAINED,
        deadline=NOON,
        contained_at=NOON + timedelta(seconds=delay_s),
    )
    record_event("grant:contain", at=grant.contained_at, target=grant, request=request)
    return grant


def test_expired_grants_count_by_the_delay_of_their_revocation():
    for delay_s in (0.4, 5, 5.5, 60, 61, 300, 301):
        latest = contain(delay_s)
    contain(-600, final_status=Status.REVOKED)  # by hand, so without a deadline to keep
    revocations = figures()["revocations"]
    worst = {
        "delay_s": 301,
        "request": latest.request_id,
        "integration": latest.integration_name,
    }
    assert revocations.pop("worst") == worst
    assert revocations == {"punctual": 2, "minute": 2, "five_minutes": 2, "later": 1, "retried": 0}


def test_retried_revocation_counts_once_per_grant():
    grant, other = contain(2), contain(2)
    for retried, step in ((grant, "contain"), (grant, "contain"), (other, "clean")):
        record_event("grant:retry", target=retried, metadata={"step": step})
    assert figures()["revocations"]["retried"] == 1
    assert figures()["revocations"]["worst"] == {}


def test_flows_count_by_submitted_requests():
    target = FlowTargetFactory()
    for _ in range(2):
        request = AccessRequestFactory(flow=target.flow)
        record_event("request:submit", request=request)
    assert figures()["flows"] == {str(target.flow.pk): 2}


def test_coverage_counts_active_users_with_a_confirmed_authenticator():
    engineering, empty = GroupFactory(name="Engineering"), GroupFactory(name="Empty")
    users = UserFactory.create_batch(3, groups=[engineering])
    UserFactory(is_active=False, groups=[engineering, empty])
    AuthenticatorFactory(user=users[0])
    AuthenticatorFactory(user=users[1], confirmed=False)
    coverage = coverage_now()
    assert (coverage["users"], coverage["enrolled"]) == (3, 1)
    assert coverage["groups"] == [("Engineering", 3, 1)]


def test_users_who_may_request_protected_access_without_mfa_are_lacking():
    group = GroupFactory()
    by_group, by_name, enrolled = UserFactory(groups=[group]), UserFactory(), UserFactory()
    AuthenticatorFactory(user=enrolled)
    UserFactory(groups=[group], is_active=False)
    flow = AccessFlowFactory(
        require_mfa=True, requester_groups=[group], requester_users=[by_name, enrolled, by_group]
    )
    AccessFlowFactory(requester_users=[UserFactory()])
    AccessFlowFactory(require_mfa=True, is_active=False, requester_users=[UserFactory()])
    assert coverage_now()["lacking"] == 2
    set_requesters(flow, groups=[group], users=[enrolled, by_group])
    assert coverage_now()["lacking"] == 1


@pytest.mark.parametrize(
    ("largest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (33, [0, 10, 20, 30, 40]),
        (170, [0, 50, 100, 150, 200]),
    ],
)
def test_axes_have_round_numbers(largest, ticks):
    assert ticks_for(largest) == ticks


def test_bars_stack_to_the_height_of_their_sum():
    days = [DAY.date(), NOON.date() + timedelta(days=1)]
    chart = bars_of(days, {"a": "A", "b": "B"}, [{"a": 3, "b": 1}, {}], what="things")
    low, high = chart.blocks
    assert (low.y, high.y) == (142 - 130 * 3 / 4, 12)
    assert [kind.total for kind in chart.kinds] == [3, 1]
    assert chart.summary == "3 a, 1 b. Most on 12 May: 4."


def test_line_skips_days_without_a_value():
    days = [DAY.date() + timedelta(days=n) for n in range(3)]
    line = line_of("median", days, [0.0, None, 10.0], top=10, label="10 s")
    assert line.path.count("L") == 1
    assert (line.y, line.end.text) == (12, "10 s")


def test_small_count_stays_visible():
    assert (width_of(0, 500), width_of(1, 500), width_of(500, 500)) == (0, 3, 236)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (41, "41 s"), (540, "9 min"), (7500, "2 h 5 min")]
)
def test_short_duration(seconds, text):
    assert short_duration(seconds) == text
