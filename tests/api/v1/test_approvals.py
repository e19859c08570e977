"""Decisions by token: as on the page, and protected ones only there."""

import pytest

from accessflows.models import AccessFlow
from requests_app.models import AccessRequest, Decision, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def approver(db):
    return UserFactory()


def waiting(approver, *, require_mfa: bool = False) -> AccessRequest:
    requester = UserFactory()
    flow = AccessFlowFactory(
        requester_users=[requester],
        approver_users=[approver],
        approval=AccessFlow.Approval.ANY_OF,
        targets=1,
        require_mfa=require_mfa,
    )
    return AccessRequestFactory(requester=requester, flow=flow, status=Status.PENDING_APPROVAL)


def decision(client, reason: str = "Fine, go ahead.") -> dict[str, str]:
    [item] = client.get("/approvals").json()["items"]
    return {"reason": reason, "fingerprint": item["fingerprint"], "digest": item["digest"]}


def test_a_request_is_approved_as_it_was_reviewed(api_of, approver):
    request, client = waiting(approver), api_of(approver)
    response = client.post(f"/approvals/{request.pk}/approve", decision(client))
    assert response.json()["status"] == "granting"
    assert Decision.objects.get().approver == approver


def test_what_changed_since_the_review_is_a_conflict(api_of, approver):
    request, client = waiting(approver), api_of(approver)
    body = decision(client) | {"digest": "0" * 64}
    assert client.post(f"/approvals/{request.pk}/approve", body).status_code == 409
    assert not Decision.objects.exists()


def test_a_rejection_needs_a_reason(api_of, approver):
    request, client = waiting(approver), api_of(approver)
    body = decision(client, reason="")
    assert client.post(f"/approvals/{request.pk}/reject", body).json()["field"] == "reason"
    body["reason"] = "Not this week, please."
    assert client.post(f"/approvals/{request.pk}/reject", body).json()["status"] == "rejected"


def test_a_protected_request_is_decided_on_the_page_only(api_of, approver, verified):
    verified(approver)
    request, client = waiting(approver, require_mfa=True), api_of(approver)
    response = client.post(f"/approvals/{request.pk}/approve", decision(client))
    assert response.status_code == 403
    assert response.json()["step_up_url"] == f"http://localhost/approvals/AR-{request.pk}/"
    assert not Decision.objects.exists()


def test_nobody_decides_for_another_or_for_themselves(api_of, approver):
    request, client = waiting(approver), api_of(approver)
    body = decision(client)
    for user in (request.requester, UserFactory(), UserFactory(admin=True)):
        assert api_of(user).post(f"/approvals/{request.pk}/approve", body).status_code == 404
    assert not Decision.objects.exists()
