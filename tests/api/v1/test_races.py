"""Calls at the same moment: one effect for one key, and one credential for one grant."""

import pytest
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.api.models import CallCount
from requests_app.models import AccessRequest, Decision, Status
from tests.api.v1.test_requests import body_for
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory
from tests.requests_app.test_races import at_once

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_key_has_one_effect_and_both_get_its_response(api_of):
    user = UserFactory()
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    client, body = api_of(user), body_for(flow)
    responses = at_once(
        *[lambda: client.post("/requests", body, **{"Idempotency-Key": "one"}) for _ in range(4)]
    )
    assert [response.status_code for response in responses] == [201] * 4
    assert len({response.content for response in responses}) == 1
    assert AccessRequest.objects.count() == 1


def test_one_key_with_different_bodies_has_one_effect(api_of):
    user = UserFactory()
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    client = api_of(user)
    responses = at_once(
        *[
            lambda hours=hours: client.post(
                "/requests", body_for(flow, duration=f"{hours}h"), **{"Idempotency-Key": "one"}
            )
            for hours in (1, 2, 3)
        ]
    )
    assert sorted(response.status_code for response in responses) == [201, 409, 409]
    assert AccessRequest.objects.count() == 1


def test_two_decisions_at_once_are_one(api_of):
    requester, approver = UserFactory(), UserFactory()
    flow = AccessFlowFactory(
        requester_users=[requester],
        approver_users=[approver],
        approval=AccessFlow.Approval.ANY_OF,
        targets=1,
    )
    request = AccessRequestFactory(requester=requester, flow=flow, status=Status.PENDING_APPROVAL)
    client = api_of(approver)
    [item] = client.get("/approvals").json()["items"]
    body = {"reason": "Fine.", "fingerprint": item["fingerprint"], "digest": item["digest"]}
    responses = at_once(
        lambda: client.post(f"/approvals/{request.pk}/approve", body),
        lambda: client.post(f"/approvals/{request.pk}/reject", body | {"reason": "Not today."}),
    )
    assert sorted(response.status_code for response in responses) == [200, 409]
    assert Decision.objects.count() == 1


def test_first_calls_at_once_are_all_counted(api_of):
    client = api_of(UserFactory())
    now = timezone.now()
    responses = at_once(*[lambda: client.get("/me") for _ in range(4)])
    assert [response.status_code for response in responses] == [200] * 4
    count = CallCount.objects.get()
    if count.minute == now.replace(second=0, microsecond=0):
        assert count.calls == 4
