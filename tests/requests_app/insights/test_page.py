"""The page of insights: figures that were kept, drawn, with the numbers behind them."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from requests_app.insights.daily_rollup import keep_figures
from requests_app.models import DayFigures
from tests.factories import AccessFlowFactory, AuthenticatorFactory, UserFactory

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
EVERYTHING = {
    "requests": {"granted": 22, "rejected": 2, "lapsed": 1, "cancelled": 0, "failed": 0},
    "verifications": {"ok": 40, "bad": 3, "throttled": 1},
    "attacks": {"sign_in_refused": 9, "sign_in_held_off": 1, "code_held_off": 1, "month_limit": 1},
    "opening": {"median_s": 540, "slowest_s": 1860, "count": 22},
    "ending": {
        "punctual": 252,
        "minute": 3,
        "retried": 1,
        "worst": {"late_s": 41.2, "request": 94, "integration": "fleet-prod"},
    },
}


@pytest.fixture
def now():
    with time_machine.travel(NOON, tick=False):
        yield NOON


def kept(day: date, **figures) -> DayFigures:
    return DayFigures.objects.create(
        day=day, zone="UTC", figures=figures, counted_at=NOON, next_at=NOON, is_final=True
    )


def page_of(client, query: str = "") -> str:
    answer = client.get(f"/insights/{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_before_anything_was_counted_the_page_says_so(auditor_client, now):
    assert "Nothing was counted in these days" in page_of(auditor_client)


def test_a_day_of_nothing_is_drawn_as_nothing(auditor_client, now):
    keep_figures(NOON)
    page = page_of(auditor_client)
    for said in (
        "0 of 1</strong> people have set up MFA",
        "No requests ended in these 14 days.",
        "No codes were entered in these 14 days.",
        "No access was opened in these days",
        "No access ran out in these days",
        "There is no active access flow.",
    ):
        assert said in page


def test_every_figure_is_told_in_words_and_numbers(auditor_client, now):
    kept(NOON.date(), **EVERYTHING)
    kept(NOON.date() - timedelta(days=13), requests={"granted": 3}, opening={})
    page = page_of(auditor_client)
    for said in (
        "Granted <b>25</b>",
        'aria-label="25 granted, 2 rejected, 1 lapsed. Most on 12 May: 25."',
        'aria-label="40 verified, 3 did not match, 1 held off. Most on 12 May: 44."',
        "<strong>9 min</strong> median on 12 May",
        'aria-label="Median between 9 min and 9 min; slowest tenth between 31 min and 31 min."',
        "<strong>98.8%</strong> within 5 seconds of the deadline",
        "cut 41 s late, on fleet-prod",
        "<strong>3</strong> times somebody was held off",
        '<th scope="row">12 May</th><td>22</td><td>2</td><td>1</td><td>0</td><td>0</td>',
    ):
        assert said in page


def test_not_quite_all_is_never_told_as_all(auditor_client, now):
    kept(NOON.date(), ending={"punctual": 99_999, "later": 1})
    assert "<strong>99.9%</strong>" in page_of(auditor_client)


@pytest.mark.parametrize(
    ("query", "granted"),
    [("", 6), ("?days=7", 2), ("?days=30", 14), ("?days=7&until=2026-05-05", 4)],
)
def test_the_range_stands_in_the_address(auditor_client, now, query, granted):
    for days_ago, count in ((0, 2), (7, 4), (20, 8), (40, 16)):
        kept(NOON.date() - timedelta(days=days_ago), requests={"granted": count})
    assert f"Granted <b>{granted}</b>" in page_of(auditor_client, query)


@pytest.mark.parametrize(
    "query", ["?days=x", "?days=9999", "?until=yesterday", "?until=9999-99-99"]
)
def test_what_cannot_be_read_gets_a_sentence(auditor_client, now, query):
    answer = auditor_client.get(f"/insights/{query}")
    assert answer.status_code == 422
    assert "Choose" in answer.content.decode() or "Write the day" in answer.content.decode()


def test_flows_nobody_asked_through_are_named(auditor_client, now):
    used, unused = AccessFlowFactory(name="Used"), AccessFlowFactory(name="Forgotten")
    AccessFlowFactory(name="Off", is_active=False)
    kept(NOON.date(), flows={str(used.pk): 3})
    kept(NOON.date() - timedelta(days=30), flows={str(unused.pk): 3})
    page = page_of(auditor_client)
    assert "<strong>1 of 2</strong> active flows nobody asked through" in page
    assert ">Forgotten</a>" in page
    assert ">Used</a>" not in page


def test_the_way_to_those_who_need_mfa_leads_to_as_many(admin_client, now):
    enrolled, lacking = UserFactory(), UserFactory(email="lacking@example.org")
    AuthenticatorFactory(user=enrolled)
    AccessFlowFactory(require_mfa=True, requester_users=[enrolled, lacking])
    keep_figures(NOON)
    page = page_of(admin_client)
    assert "1 person without MFA can ask for protected access." in page
    found = admin_client.get("/users/?mfa=required").content.decode()
    assert "lacking@example.org" in found
    assert enrolled.email not in found


def test_the_page_asks_as_many_questions_for_ten_days_as_for_many(
    auditor_client, questions_of, now
):
    for days_ago in range(90):
        AccessFlowFactory()
        kept(NOON.date() - timedelta(days=days_ago), **EVERYTHING)
    few = questions_of(auditor_client, "/insights/?days=7")
    assert questions_of(auditor_client, "/insights/?days=90") == few <= 12
