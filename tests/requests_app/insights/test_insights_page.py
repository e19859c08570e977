"""The Insights page: stored figures as charts and as tables."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from requests_app.insights.daily_rollup import update_daily_figures
from requests_app.models import DayFigures
from tests.factories import AccessFlowFactory, AuthenticatorFactory, UserFactory

NOON = datetime(2026, 5, 12, 12, tzinfo=UTC)
FIGURES = {
    "requests": {"granted": 22, "rejected": 2, "lapsed": 1, "cancelled": 0, "failed": 0},
    "verifications": {"ok": 40, "bad": 3, "throttled": 1},
    "attacks": {"sign_in_refused": 9, "sign_in_blocked": 1, "code_blocked": 1, "month_limit": 1},
    "time_to_access": {"median_s": 540, "slowest_s": 1860, "count": 22},
    "revocations": {
        "punctual": 252,
        "minute": 3,
        "retried": 1,
        "worst": {"delay_s": 41.2, "request": 94, "integration": "fleet-prod"},
    },
}


@pytest.fixture
def now():
    with time_machine.travel(NOON, tick=False):
        yield NOON


def store(day: date, **figures) -> DayFigures:
    return DayFigures.objects.create(
        day=day, zone="UTC", figures=figures, counted_at=NOON, next_at=NOON, is_final=True
    )


def page_text(client, query: str = "") -> str:
    answer = client.get(f"/insights/{query}")
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_page_without_figures_says_so(auditor_client, now):
    assert "No figures for this period" in page_text(auditor_client)


def test_day_without_events_shows_empty_charts(auditor_client, now):
    update_daily_figures(NOON)
    page = page_text(auditor_client)
    for sentence in (
        "0 of 1</strong> users have set up MFA",
        "No requests completed in these 14 days.",
        "No codes entered in these 14 days.",
        "No access was granted in this period",
        "No access expired in this period",
        "No active access flows.",
    ):
        assert sentence in page


def test_every_figure_is_shown_in_words_and_numbers(auditor_client, now):
    store(NOON.date(), **FIGURES)
    store(NOON.date() - timedelta(days=13), requests={"granted": 3}, time_to_access={})
    page = page_text(auditor_client)
    for sentence in (
        "Granted <b>25</b>",
        'aria-label="25 granted, 2 rejected, 1 lapsed. Most on 12 May: 25."',
        'aria-label="40 verified, 3 incorrect, 1 locked out. Most on 12 May: 44."',
        "<strong>9 min</strong> median on 12 May",
        'aria-label="Median between 9 min and 9 min; slowest tenth between 31 min and 31 min."',
        "<strong>98.8%</strong> within 5 seconds of the deadline",
        "The longest delay was 41 s, on fleet-prod",
        "<strong>3</strong> lockouts",
        '<th scope="row">12 May</th><td>22</td><td>2</td><td>1</td><td>0</td><td>0</td>',
    ):
        assert sentence in page


def test_percentage_is_rounded_down(auditor_client, now):
    store(NOON.date(), revocations={"punctual": 99_999, "later": 1})
    assert "<strong>99.9%</strong>" in page_text(auditor_client)


@pytest.mark.parametrize(
    ("query", "granted"),
    [("", 6), ("?days=7", 2), ("?days=30", 14), ("?days=7&until=2026-05-05", 4)],
)
def test_range_is_read_from_the_address(auditor_client, now, query, granted):
    for days_ago, count in ((0, 2), (7, 4), (20, 8), (40, 16)):
        store(NOON.date() - timedelta(days=days_ago), requests={"granted": count})
    assert f"Granted <b>{granted}</b>" in page_text(auditor_client, query)


@pytest.mark.parametrize(
    "query", ["?days=x", "?days=9999", "?until=yesterday", "?until=9999-99-99"]
)
def test_invalid_range_gets_an_error(auditor_client, now, query):
    answer = auditor_client.get(f"/insights/{query}")
    assert answer.status_code == 422
    assert "Choose" in answer.content.decode() or "Enter a date" in answer.content.decode()


def test_unused_flows_are_named(auditor_client, now):
    used, unused = AccessFlowFactory(name="Used"), AccessFlowFactory(name="Forgotten")
    AccessFlowFactory(name="Off", is_active=False)
    store(NOON.date(), flows={str(used.pk): 3})
    store(NOON.date() - timedelta(days=30), flows={str(unused.pk): 3})
    page = page_text(auditor_client)
    assert "<strong>1 of 2</strong> unused" in page
    assert ">Forgotten</a>" in page
    assert ">Used</a>" not in page


def test_link_lists_the_users_who_lack_mfa(admin_client, now):
    enrolled, lacking = UserFactory(), UserFactory(email="lacking@example.org")
    AuthenticatorFactory(user=enrolled)
    AccessFlowFactory(require_mfa=True, requester_users=[enrolled, lacking])
    update_daily_figures(NOON)
    page = page_text(admin_client)
    assert "1 user without MFA can request protected access." in page
    listed = admin_client.get("/users/?mfa=required").content.decode()
    assert "lacking@example.org" in listed
    assert enrolled.email not in listed


def test_query_count_does_not_depend_on_the_number_of_days(auditor_client, questions_of, now):
    for days_ago in range(90):
        AccessFlowFactory()
        store(NOON.date() - timedelta(days=days_ago), **FIGURES)
    few = questions_of(auditor_client, "/insights/?days=7")
    assert questions_of(auditor_client, "/insights/?days=90") == few <= 12
