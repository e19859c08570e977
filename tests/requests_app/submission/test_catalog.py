"""The list on New Request: searched on the server by GET, and nothing ticked is lost."""

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


def offered(client, **asked):
    page = client.get(NEW, asked).content.decode()
    return {int(found) for found in re.findall(r'name="target" value="(\d+)"', page)}


def ticked(client, **asked):
    page = client.get(NEW, asked).content.decode()
    return {int(found) for found in re.findall(r'value="(\d+)"[^>]* checked', page)}


@pytest.mark.parametrize(
    "words", ["desk", "HALDEN", "orders", "_read", "look rows", "warehouse orders_read desk"]
)
def test_every_word_is_found_wherever_it_stands(user, orders, other, signed_in, words):
    assert offered(signed_in(user), q=words) == {orders.pk}


@pytest.mark.parametrize(
    "name",
    [
        {"flow": "Orders desk"},
        {"integration": "Halden warehouse"},
        {"resource": "orders"},
        {"permission": "orders_read"},
    ],
)
def test_a_name_narrows(user, orders, other, signed_in, name):
    assert offered(signed_in(user), **name) == {orders.pk}


def test_what_is_ticked_stays_although_it_does_not_fit(user, orders, other, signed_in):
    client = signed_in(user)
    assert ticked(client, q="desk", target=other.pk) == {other.pk}
    assert offered(client, q="desk", target=other.pk) == {orders.pk, other.pk}


def test_a_search_that_finds_nothing_says_so(user, orders, signed_in):
    page = signed_in(user).get(NEW, {"q": "% _ ' \" <b>"}).content.decode()
    assert "No matches" in page


@pytest.mark.parametrize(
    "asked", [{"page": "x"}, {"page": "-1"}, {"q": "x" * 5000}, {"flow": "\x00"}]
)
def test_an_address_nobody_wrote_is_answered(user, orders, signed_in, asked):
    assert signed_in(user).get(NEW, asked).status_code == 200


def test_what_others_may_ask_for_is_in_no_list_and_no_filter(user, orders, signed_in):
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


def test_three_hundred_targets_come_in_pages_that_keep_what_is_ticked(user, signed_in):
    flow = many(user, 300)
    client, first = signed_in(user), flow.targets.first()
    assert len(offered(client)) == PAGE_SIZE
    assert ticked(client, page=10, target=first.pk) == {first.pk}
    assert len(offered(client, page=10, target=first.pk)) == PAGE_SIZE + 1
    assert offered(client, q="db_299") == {flow.targets.last().pk}


def test_the_page_asks_as_often_for_300_targets_as_for_ten(user, signed_in, questions_of):
    flow = many(user, 10)
    client = signed_in(user)
    few = questions_of(client, NEW)
    flow.delete()
    Resource.objects.all().delete()
    Permission.objects.all().delete()
    many(user, 300)
    assert questions_of(client, NEW) == few


def test_the_token_of_the_form_is_in_no_address(user, orders, signed_in):
    page = signed_in(user).get(NEW).content.decode()
    assert 'type="hidden" name="csrfmiddlewaretoken"' not in page.partition("data-new-request")[2]


def test_without_script_a_review_page_asks_for_the_reason(user, orders, signed_in):
    client = signed_in(user)
    asked = {"step": "review", "target": orders.pk, "duration": "2h"}
    page = client.get(NEW, asked).content.decode()
    assert "Review request" in page
    assert "Access starts within seconds." in page
    sent = asked | {"justification": "Backfill carrier_id"}
    assert client.post(NEW, sent).status_code == 302


def test_a_review_that_is_refused_stays_the_review(user, orders, signed_in):
    asked = {"step": "review", "target": orders.pk, "duration": "2h", "justification": "!!!"}
    answer = signed_in(user).post(NEW, asked)
    assert answer.status_code == 422
    assert "Review request" in answer.content.decode()


def test_a_review_of_nothing_leads_back_to_choosing(user, orders, signed_in):
    page = signed_in(user).get(NEW, {"step": "review", "duration": "2h"}).content.decode()
    assert "Select what you need, and for how long." in page
