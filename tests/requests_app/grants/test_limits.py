"""A user and an integration can have only so many grants at a time."""

from datetime import timedelta
from functools import partial

import pytest

from requests_app.exceptions import RequestRefused
from requests_app.grants.activation import begin_activation
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    UserFactory,
    requester_users_of,
)
from tests.fixtures.submission import submit_request
from tests.requests_app.test_races import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def flow():
    return AccessFlowFactory(requester_users=[UserFactory(), UserFactory()], targets=1)


def begin(flow, number=0):
    request = AccessRequestFactory(requester=requester_users_of(flow)[number], flow=flow)
    begin_activation(request_pk=request.pk)
    request.refresh_from_db()
    return request


def submit(flow, number=0):
    return submit_request(
        actor=requester_users_of(flow)[number],
        flow=flow,
        target_ids=[target.pk for target in flow.targets.all()],
        window=None,
        duration=timedelta(hours=1),
        justification="Backfill carrier_id, OPS-4821",
    )


def test_user_with_the_most_grants_gets_no_more(flow, settings):
    settings.MAX_ACTIVE_GRANTS_PER_USER = 2
    assert [begin(flow).grants.count() for _ in range(2)] == [1, 1]
    refused = begin(flow)
    assert (refused.status, refused.grants.count()) == (Status.FAILED, 0)
    assert "2 active grants" in refused.message
    assert begin(flow, 1).grants.count() == 1


def test_integration_with_the_most_grants_gets_no_more(flow, settings):
    settings.MAX_ACTIVE_GRANTS_PER_INTEGRATION = 1
    begin(flow)
    refused = begin(flow, 1)
    assert (refused.status, refused.grants.count()) == (Status.FAILED, 0)
    assert "can have 1 active grants" in refused.message


@pytest.mark.parametrize(
    "name", ["MAX_ACTIVE_GRANTS_PER_USER", "MAX_ACTIVE_GRANTS_PER_INTEGRATION"]
)
def test_request_beyond_a_limit_is_refused(flow, settings, name):
    setattr(settings, name, 1)
    begin(flow)
    requests = AccessRequest.objects.count()
    with pytest.raises(RequestRefused, match="active grants at a time") as refusal:
        submit(flow)
    assert refusal.value.field == "targets"
    assert AccessRequest.objects.count() == requests


def test_grants_that_nobody_can_use_do_not_count(flow, settings):
    settings.MAX_ACTIVE_GRANTS_PER_USER = 1
    begin(flow)
    Grant.objects.update(state=GrantState.CONTAINED)
    assert begin(flow).grants.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_activations_at_once_do_not_exceed_the_limit_of_an_integration(flow, settings):
    settings.MAX_ACTIVE_GRANTS_PER_INTEGRATION = 1
    users = requester_users_of(flow)
    for _ in range(3):
        requests = [AccessRequestFactory(requester=user, flow=flow) for user in users]
        acts = [partial(begin_activation, request_pk=request.pk) for request in requests]
        assert not [answer for answer in at_once(*acts) if isinstance(answer, Exception)]
        assert Grant.objects.count() == 1
        Grant.objects.all().delete()
