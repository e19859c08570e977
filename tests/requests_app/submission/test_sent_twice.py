"""The same form sent twice creates its requests once."""

import re

import pytest

from requests_app.models import AccessRequest, Status
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
    return AccessFlowFactory(requester_users=[user], targets=1)


def key_of(page):
    return re.search(r'name="submission" value="([\w-]+)"', page.content.decode())[1]


def fields_of(flow, key, **changes):
    data = {
        "submission": key,
        "target": flow.targets.get().pk,
        "duration": "1h",
        "justification": "Backfill carrier_id, OPS-4821",
    }
    return data | changes


def test_a_second_click_leads_to_the_same_request(user, flow, signed_in):
    client = signed_in(user)
    fields = fields_of(flow, key_of(client.get(NEW)))
    first, second = client.post(NEW, fields), client.post(NEW, fields)
    assert AccessRequest.objects.count() == 1
    assert first.headers["Location"] == second.headers["Location"]


def test_a_late_second_click_leads_there_whatever_became_of_it(user, flow, signed_in):
    client = signed_in(user)
    fields = fields_of(flow, key_of(client.get(NEW)))
    location = client.post(NEW, fields).headers["Location"]
    AccessRequest.objects.update(status=Status.CANCELLED)
    assert client.post(NEW, fields).headers["Location"] == location


def test_a_page_sent_again_with_other_content_is_another_request(user, flow, signed_in):
    client = signed_in(user)
    key = key_of(client.get(NEW))
    client.post(NEW, fields_of(flow, key))
    client.post(NEW, fields_of(flow, key, duration="2h"))
    assert AccessRequest.objects.count() == 2


def test_a_key_is_its_users_own(user, flow, signed_in):
    other = UserFactory()
    set_requesters(flow, users=[user, other])
    key = key_of(signed_in(user).get(NEW))
    for person in (user, other):
        signed_in(person).post(NEW, fields_of(flow, key))
    assert set(AccessRequest.objects.values_list("requester", flat=True)) == {user.pk, other.pk}


def test_a_refused_form_can_be_corrected_and_sent_with_its_key(user, flow, signed_in):
    client = signed_in(user)
    key = key_of(client.get(NEW))
    refused = client.post(NEW, fields_of(flow, key, justification="!!!"))
    assert key_of(refused) == key
    client.post(NEW, fields_of(flow, key))
    assert AccessRequest.objects.count() == 1


def test_request_again_sent_twice_makes_one(user, flow, signed_in):
    old = AccessRequestFactory(requester=user, flow=flow, status=Status.EXPIRED)
    client, address = signed_in(user), f"/requests/AR-{old.pk}/again/"
    fields = {"submission": key_of(client.get(address)), "justification": "Once more, the rest"}
    assert client.post(address, fields).headers == client.post(address, fields).headers
    assert AccessRequest.objects.exclude(pk=old.pk).count() == 1


@pytest.mark.parametrize("key", ["", "short", "x" * 65, "ä" * 20, "a\x00" * 10])
def test_an_unusable_key_is_no_key(user, flow, signed_in, key):
    client = signed_in(user)
    for _ in range(2):
        assert client.post(NEW, fields_of(flow, key)).status_code == 302
    assert AccessRequest.objects.count() == 2
