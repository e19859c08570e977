"""``If-Match``: a request that changed since it was read is left alone."""

import pytest

from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def waiting(user):
    flow = AccessFlowFactory(requester_users=[user], targets=1)
    return AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_APPROVAL)


def test_an_etag_stays_while_nothing_changes(api_of, user, waiting):
    client, path = api_of(user), f"/requests/{waiting.pk}"
    assert client.get(path)["ETag"] == client.get(path)["ETag"]


@pytest.mark.parametrize("operation", ["cancel", "revoke", "extend"])
def test_a_changed_request_is_left_alone(api_of, user, waiting, operation):
    client, path = api_of(user), f"/requests/{waiting.pk}"
    etag = client.get(path)["ETag"]
    AccessRequest.objects.filter(pk=waiting.pk).update(justification="Another one.")
    body = {"extensions_used": 0} if operation == "extend" else None
    answer = client.post(f"{path}/{operation}", body, **{"If-Match": etag})
    assert (answer.status_code, answer.json()["code"]) == (412, "precondition_failed")
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING_APPROVAL


@pytest.mark.parametrize("if_match", ["W/{}", "", "nonsense"])
def test_only_the_etag_itself_matches(api_of, user, waiting, if_match):
    client, path = api_of(user), f"/requests/{waiting.pk}"
    header = {"If-Match": if_match.format(client.get(path)["ETag"])}
    assert client.post(f"{path}/cancel", **header).status_code == 412


@pytest.mark.parametrize("if_match", ['"x", {}', "*", None])
def test_an_unchanged_request_is_cancelled(api_of, user, waiting, if_match):
    client, path = api_of(user), f"/requests/{waiting.pk}"
    etag = client.get(path)["ETag"]
    header = {} if if_match is None else {"If-Match": if_match.format(etag)}
    assert client.post(f"{path}/cancel", **header).status_code == 200
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED


def test_a_flow_has_an_etag_of_its_terms(api_of, admin_user):
    flow = AccessFlowFactory()
    client, path = api_of(admin_user), f"/flows/{flow.pk}"
    before = client.get(path)["ETag"]
    flow.require_mfa = True
    flow.save()
    assert client.get(path)["ETag"] != before
