"""The limit of requests pending MFA, and those submitted from elsewhere."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from requests_app.exceptions import RequestRefused
from requests_app.models import Status
from requests_app.submission import pending_mfa
from requests_app.submission.pending_mfa import submitted_elsewhere
from tests.factories import AccessFlowFactory, AccessRequestFactory, AuthenticatorFactory
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db
HERE = ClientInfo("127.0.0.1", "Firefox/133.0 of the tests")
THERE = ClientInfo("203.0.113.9", "Mozilla/5.0 (Windows NT 10.0) Chrome/131.0 Safari/537.36")


@pytest.fixture
def person():
    return AuthenticatorFactory().user


@pytest.fixture
def flow(person):
    return AccessFlowFactory(require_mfa=True, requester_users=[person], targets=1)


def ask(person, flow, client_info=HERE, window=None):
    return submit_request(
        actor=person,
        flow=flow,
        target_ids=[flow.targets.get().pk],
        duration=timedelta(hours=1),
        justification="Look into the failed import, OPS-1.",
        window=window,
        client_info=client_info,
    )


def fill(person, flow, number, **fields):
    for _ in range(number):
        AccessRequestFactory(requester=person, flow=flow, status=Status.PENDING_MFA, **fields)


def test_the_twentieth_is_pending_and_one_more_refused(person, flow):
    fill(person, flow, 19)
    assert ask(person, flow).status == Status.PENDING_MFA
    with pytest.raises(RequestRefused, match="20 requests are already waiting for your code"):
        ask(person, flow)


def test_lapsed_requests_do_not_count(person, flow):
    fill(person, flow, 20, pending_until=timezone.now())
    assert ask(person, flow).status == Status.PENDING_MFA


def test_requests_of_others_and_released_ones_do_not_count(person, flow, monkeypatch):
    monkeypatch.setattr(pending_mfa, "MAX_PENDING_MFA", 1)
    fill(AuthenticatorFactory().user, flow, 1)
    AccessRequestFactory(requester=person, flow=flow)
    assert ask(person, flow).status == Status.PENDING_MFA


def test_an_open_window_is_not_limited(person, flow, monkeypatch, open_window_of):
    monkeypatch.setattr(pending_mfa, "MAX_PENDING_MFA", 0)
    assert ask(person, flow, window=open_window_of(person)).status == Status.GRANTING


@pytest.mark.parametrize(
    "client_info",
    [THERE, ClientInfo(HERE.address, THERE.user_agent), ClientInfo(THERE.address, HERE.user_agent)],
)
def test_another_browser_or_address_is_elsewhere(person, flow, client_info):
    mine, elsewhere = ask(person, flow), ask(person, flow, client_info)
    assert set(submitted_elsewhere([mine, elsewhere], HERE)) == {elsewhere.pk}


def test_the_page_shows_where_a_request_came_from(person, flow, signed_in):
    ask(person, flow, THERE)
    page = signed_in(person).get(reverse("requests:step_up")).content.decode()
    assert "Submitted from another browser: Chrome on Windows at 203.0.113.9" in page


def test_the_page_shows_nothing_for_this_browser(person, flow, signed_in):
    ask(person, flow)
    browser = signed_in(person)
    page = browser.get(reverse("requests:step_up"), HTTP_USER_AGENT=HERE.user_agent)
    assert "Submitted from another browser" not in page.content.decode()
    assert 'name="leave_out"' in page.content.decode()


def test_a_left_out_request_stays_left_out_after_an_error(person, flow, signed_in):
    elsewhere = ask(person, flow, THERE)
    form = {"code": "12", "leave_out": str(elsewhere.pk)}
    page = signed_in(person).post(reverse("requests:step_up"), form).content.decode()
    assert f'value="{elsewhere.pk}" form="su-form" checked' in page
