"""The catalog on New Request: filtered on the server, and the selection is kept."""

import re

import pytest

from accessflows.models import FlowTarget, Permission, Resource
from requests_app.submission.selection import PAGE_SIZE
from tests.factories import (
    AccessFlowFactory,
    FlowTargetFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
NEW = "/requests/new/"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def orders(user):
    flow = AccessFlowFactory(name="Orders desk", requester_users=[user])
    integration = IntegrationFactory(name="Halden warehouse")
    resource = ResourceFactory(integration=integration, name="orders")
    role = PermissionFactory(
        integration=integration, name="orders_read", description="Look at rows"
    )
    return FlowTargetFactory(flow=flow, resource=resource, permission=role)


@pytest.fixture
def other(user):
    return FlowTargetFactory(flow=AccessFlowFactory(name="Else", requester_users=[user]))


def listed(client, **params):
    page = client.get(NEW, params).content.decode()
    return {int(pk) for pk in re.findall(r'name="target" value="(\d+)"', page)}


def selected(client, **params):
    page = client.get(NEW, params).content.decode()
    return {int(pk) for pk in re.findall(r'value="(\d+)"[^>]* checked', page)}


@pytest.mark.parametrize(
    "words", ["desk", "HALDEN", "orders", "_read", "look rows", "warehouse orders_read desk"]
)
def test_every_word_matches_any_field(user, orders, other, signed_in, words):
    assert listed(signed_in(user), q=words) == {orders.pk}


@pytest.mark.parametrize(
    "name",
    [
        {"flow": "Orders desk"},
        {"integration": "Halden warehouse"},
        {"resource": "orders"},
        {"permission": "orders_read"},
    ],
)
def test_a_filter_narrows_the_catalog(user, orders, other, signed_in, name):
    assert listed(signed_in(user), **name) == {orders.pk}


def test_selected_targets_stay_when_they_do_not_match(user, orders, other, signed_in):
    client = signed_in(user)
    assert selected(client, q="desk", target=other.pk) == {other.pk}
    assert listed(client, q="desk", target=other.pk) == {orders.pk, other.pk}


def test_a_search_that_finds_nothing_says_so(user, orders, signed_in):
    page = signed_in(user).get(NEW, {"q": "% _ ' \" <b>"}).content.decode()
    assert "No matches" in page


@pytest.mark.parametrize(
    "params", [{"page": "x"}, {"page": "-1"}, {"q": "x" * 5000}, {"flow": "\x00"}]
)
def test_unexpected_parameters_are_accepted(user, orders, signed_in, params):
    assert signed_in(user).get(NEW, params).status_code == 200


def test_targets_of_others_are_not_listed(user, orders, signed_in):
    foreign = FlowTargetFactory(flow=AccessFlowFactory(name="Board only"))
    page = signed_in(user).get(NEW, {"target": foreign.pk}).content.decode()
    assert "Board only" not in page
    assert "Some of what you selected is not available" in page


def many(user, count):
    flow = AccessFlowFactory(requester_users=[user])
    integration = IntegrationFactory()
    role = PermissionFactory(integration=integration)
    made = Resource.objects.bulk_create(
        Resource(integration=integration, name=f"db_{number:03}") for number in range(count)
    )
    FlowTarget.objects.bulk_create(
        FlowTarget(flow=flow, resource=each, permission=role) for each in made
    )
    assert Permission.objects.count() == 1
    return flow


def test_pages_keep_the_selection(user, signed_in):
    flow = many(user, 300)
    client, first = signed_in(user), flow.targets.first()
    assert len(listed(client)) == PAGE_SIZE
    assert selected(client, page=10, target=first.pk) == {first.pk}
    assert len(listed(client, page=10, target=first.pk)) == PAGE_SIZE + 1
    assert listed(client, q="db_299") == {flow.targets.last().pk}


def test_query_count_does_not_depend_on_targets(user, signed_in, questions_of):
    flow = many(user, 10)
    client = signed_in(user)
    few = questions_of(client, NEW)
    flow.delete()
    Resource.objects.all().delete()
    Permission.objects.all().delete()
    many(user, 300)
    assert questions_of(client, NEW) == few


def test_the_csrf_token_is_in_no_url(user, orders, signed_in):
    page = signed_in(user).get(NEW).content.decode()
    assert 'type="hidden" name="csrfmiddlewaretoken"' not in page.partition("data-new-request")[2]


def test_without_script_a_review_page_comes_first(user, orders, signed_in):
    client = signed_in(user)
    params = {"step": "review", "target": orders.pk, "duration": "2h"}
    page = client.get(NEW, params).content.decode()
    assert "Review request" in page
    assert "Access starts within seconds." in page
    sent = params | {"justification": "Backfill carrier_id"}
    assert client.post(NEW, sent).status_code == 302


def test_a_review_that_is_refused_stays_the_review(user, orders, signed_in):
    params = {"step": "review", "target": orders.pk, "duration": "2h", "justification": "!!!"}
    answer = signed_in(user).post(NEW, params)
    assert answer.status_code == 422
    assert "Review request" in answer.content.decode()


def test_a_review_of_nothing_leads_back_to_the_catalog(user, orders, signed_in):
    page = signed_in(user).get(NEW, {"step": "review", "duration": "2h"}).content.decode()
    assert "Select what you need, and for how long." in page
