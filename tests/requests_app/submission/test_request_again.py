"""Request again: only the justification is new, and everything is evaluated again."""

from datetime import timedelta

import pytest

from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    UserFactory,
    set_requesters,
)

pytestmark = pytest.mark.django_db
OVER = [Status.EXPIRED, Status.REVOKED, Status.REJECTED, Status.LAPSED, Status.CANCELLED]


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def flow(user):
    return AccessFlowFactory(name="Orders", requester_users=[user], targets=2)


def ended(user, flow, **fields):
    defaults = {"status": Status.EXPIRED, "duration": timedelta(hours=3), "ticket": "OPS-7"}
    return AccessRequestFactory(requester=user, flow=flow, **(defaults | fields))


def address(request):
    return f"/requests/AR-{request.pk}/again/"


def send(client, request, **more):
    return client.post(address(request), {"justification": "Once more, for the rest"} | more)


def newest(request):
    return AccessRequest.objects.exclude(pk=request.pk).get()


def test_it_requests_the_same_with_a_new_justification(user, flow, signed_in):
    old = ended(user, flow)
    page = signed_in(user).get(address(old)).content.decode()
    assert old.justification not in page
    send(signed_in(user), old, ticket="OPS-7")
    new = newest(old)
    assert (new.duration, new.ticket, new.flow) == (timedelta(hours=3), "OPS-7", flow)
    assert new.justification == "Once more, for the rest"
    assert {str(target) for target in new.targets.all()} == {
        str(target) for target in old.targets.all()
    }


def test_a_new_justification_is_required(user, flow, signed_in):
    old = ended(user, flow)
    assert send(signed_in(user), old, justification="...").status_code == 422
    assert AccessRequest.objects.count() == 1


@pytest.mark.parametrize("status", OVER)
def test_the_list_offers_it_after_any_end(user, flow, signed_in, status):
    old = ended(user, flow, status=status)
    assert address(old) in signed_in(user).get("/requests/").content.decode()


@pytest.mark.parametrize("status", [Status.PENDING_MFA, Status.PENDING_APPROVAL, Status.ACTIVE])
def test_a_request_in_progress_is_not_repeated(user, flow, signed_in, status):
    old = ended(user, flow, status=status)
    assert send(signed_in(user), old).headers["Location"] == f"/requests/AR-{old.pk}/"
    assert AccessRequest.objects.count() == 1


def test_a_flow_that_now_requires_mfa_requires_it(user, flow, signed_in):
    old = ended(user, flow)
    type(flow).objects.update(require_mfa=True)
    send(signed_in(user), old)
    assert newest(old).status == Status.PENDING_MFA


def test_a_lower_maximum_shortens_the_duration(user, flow, signed_in):
    old = ended(user, flow)
    type(flow).objects.update(max_duration=timedelta(hours=1))
    assert "<strong>1 h</strong>" in signed_in(user).get(address(old)).content.decode()
    send(signed_in(user), old)
    assert newest(old).duration == timedelta(hours=1)


def test_another_duration_or_target_in_the_form_changes_nothing(user, flow, signed_in):
    old, other = ended(user, flow), AccessFlowFactory(requester_users=[user], targets=1)
    send(signed_in(user), old, duration="8h", target=other.targets.get().pk, flow=other.pk)
    assert (newest(old).duration, newest(old).flow) == (timedelta(hours=3), flow)


@pytest.mark.parametrize("gone", ["target", "requester", "flow", "deleted"])
def test_an_unavailable_target_is_refused(user, flow, signed_in, gone):
    old = ended(user, flow)
    if gone == "target":
        flow.targets.first().delete()
    elif gone == "requester":
        set_requesters(flow)
    elif gone == "flow":
        type(flow).objects.update(is_active=False)
    else:
        flow.delete()
    answer = send(signed_in(user), old)
    assert answer.status_code == 422
    assert "no longer offers everything you requested" in answer.content.decode()
    assert AccessRequest.objects.count() == 1


def test_requests_of_others_cannot_be_repeated(flow, signed_in):
    old = ended(UserFactory(), flow)
    client = signed_in(UserFactory(admin=True))
    assert client.get(address(old)).status_code == 404
    assert send(client, old).status_code == 404
