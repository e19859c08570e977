"""New Request by flows: favorites, recent requests, what one has already, limits and errors."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from requests_app.models import AccessRequest, FavoriteFlow, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db
NEW = "/requests/new/"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def flow(user):
    return AccessFlowFactory(name="Billing read-write", requester_users=[user], targets=2)


def star(client, flow, action="add", **fields):
    return client.post(f"/requests/new/favorites/{flow.pk}/{action}/", fields)


def picks_of(client):
    page = client.get(NEW).content.decode()
    return [
        unescape(query) for query in re.findall(r'href="/requests/new/\?([^"]+)" data-pick', page)
    ]


def ended(user, flow, **fields):
    return AccessRequestFactory(requester=user, flow=flow, status=Status.EXPIRED, **fields)


def test_targets_are_listed_under_their_flow(user, flow, signed_in):
    page = signed_in(user).get(NEW).content.decode()
    assert page.count(">Billing read-write</h3>") == 1
    assert page.count('name="target"') == 2


def test_a_star_adds_and_removes_a_favorite_and_is_recorded(user, flow, signed_in):
    client = signed_in(user)
    for action, number in (("add", 1), ("add", 1), ("remove", 0), ("remove", 0)):
        star(client, flow, action)
        assert FavoriteFlow.objects.filter(user=user, flow=flow).count() == number
    events = Event.objects.filter(event__in=[EventName.FLOW_FAVORITE, EventName.FLOW_UNFAVORITE])
    assert events.filter(actor_id=user.pk).count() == 2


def test_a_star_keeps_what_is_selected(user, flow, signed_in):
    target = flow.targets.first().pk
    answer = star(signed_in(user), flow, target=target, duration="2h", q="bill")
    assert answer.headers["Location"] == f"{NEW}?q=bill&target={target}&duration=2h"


def test_a_flow_of_others_cannot_be_a_favorite(flow, signed_in):
    assert star(signed_in(UserFactory()), flow).status_code == 404
    assert not FavoriteFlow.objects.exists()


def test_a_favorite_fills_in_what_was_requested_last(user, flow, signed_in):
    client = signed_in(user)
    star(client, flow)
    assert picks_of(client) == ["flow=Billing+read-write"]
    first, second = sorted(str(target.pk) for target in flow.targets.all())
    ended(user, flow, duration=timedelta(hours=2))
    assert picks_of(client) == [f"target={first}&target={second}&duration=2+h"]
    page = client.get(f"{NEW}?{picks_of(client)[0]}").content.decode()
    assert page.count(" checked") == 2


def test_recent_requests_are_offered_once_and_while_they_are_possible(user, flow, signed_in):
    client = signed_in(user)
    for _ in range(2):
        ended(user, flow)
    ended(UserFactory(), flow)
    assert len(picks_of(client)) == 1
    set_requesters(flow)
    AccessFlowFactory(requester_users=[user], targets=1)
    assert picks_of(client) == []


def test_a_pick_is_no_longer_than_the_flow_allows_today(user, flow, signed_in):
    ended(user, flow, duration=timedelta(hours=4))
    type(flow).objects.update(max_duration=timedelta(hours=1))
    [pick] = picks_of(signed_in(user))
    assert pick.endswith("duration=1+h")


def test_statements_do_not_depend_on_flows_and_requests(user, signed_in, questions_of):
    client, counts = signed_in(user), []
    for number in (1, 4):
        for _ in range(number):
            flow = AccessFlowFactory(requester_users=[user], targets=1)
            ended(user, flow)
            AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
            star(client, AccessFlowFactory(requester_users=[user], targets=1))
        counts.append(questions_of(client, NEW))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("extensions", "is_offered"), [(1, True), (0, False)])
def test_active_access_is_shown_beside_its_target(user, signed_in, extensions, is_offered):
    flow = AccessFlowFactory(requester_users=[user], targets=1, max_extensions=extensions)
    request = AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    AccessRequestFactory(flow=flow, status=Status.ACTIVE)
    page = signed_in(user).get(NEW).content.decode()
    until = timezone.localtime(request.ends_at)
    assert re.search(rf"You have this until (tomorrow )?{until:%H:%M}", page)
    assert (f'<a href="/requests/AR-{request.pk}/">extend instead' in page) is is_offered


def test_durations_over_the_limit_are_disabled_and_the_limit_is_named(user, flow, signed_in):
    type(flow).objects.update(max_duration=timedelta(hours=2))
    client = signed_in(user)
    usual = re.compile(r'name="usual" value="([^"]+)" disabled')
    assert usual.findall(client.get(NEW).content.decode()) == []
    page = client.get(NEW, {"target": flow.targets.first().pk}).content.decode()
    assert usual.findall(page) == ["4 h", "8 h"]
    assert "Billing read-write allows up to 2 h." in page


def test_all_errors_are_shown_at_once_each_at_its_field(user, flow, signed_in):
    type(flow).objects.update(require_ticket=True, max_duration=timedelta(hours=2))
    fields = {"target": flow.targets.first().pk, "duration": "9h", "justification": "!!!"}
    page = signed_in(user).post(NEW, fields).content.decode()
    for name in ("duration", "justification", "ticket"):
        assert f'<a href="#id_{name}">' in page
        assert f'id="id_{name}_error"' in page
    assert not AccessRequest.objects.exists()


def test_an_unreadable_duration_hides_no_other_error(user, flow, signed_in):
    fields = {"duration": "soon", "justification": "!!!"}
    page = signed_in(user).post(NEW, fields).content.decode()
    for name in ("target", "duration", "justification"):
        assert f'<a href="#id_{name}">' in page
        assert f'id="id_{name}_error"' in page


def test_errors_of_several_flows_are_shown_at_once(user, flow, signed_in):
    other = AccessFlowFactory(requester_users=[user], targets=1, require_ticket=True)
    both = [flow.targets.first().pk, other.targets.get().pk]
    client = signed_in(user)
    fields = {"target": both, "duration": "9h", "justification": "!!!"}
    seen = re.search(r'name="seen" value="(\w+)"', client.post(NEW, fields).content.decode())[1]
    page = client.post(NEW, fields | {"seen": seen}).content.decode()
    for name in ("duration", "justification", "ticket"):
        assert f'<a href="#id_{name}">' in page


def test_a_break_glass_flow_stands_out(user, flow, signed_in):
    assert "Break-glass" not in signed_in(user).get(NEW).content.decode()
    type(flow).objects.update(break_glass=True, require_mfa=True)
    assert "Break-glass" in signed_in(user).get(NEW).content.decode()
