"""Requests by token: the same rules as on the pages, and no verification but in a browser."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.api.scopes import Scope
from apono_portal.core.web.client import ClientInfo, TokenInfo
from audit.models import Event
from mfa.models import Strength
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    UserFactory,
    code_for,
    fresh_window,
)
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db


def body_for(flow: AccessFlow, **fields: object) -> dict[str, object]:
    return {
        "targets": [target.pk for target in flow.targets.all()],
        "duration": "1h",
        "justification": "Look into the failed import.",
        **fields,
    }


@pytest.fixture
def user(db):
    return UserFactory()


@pytest.fixture
def flow(user):
    return AccessFlowFactory(requester_users=[user], targets=1)


@pytest.fixture
def protected(user):
    return AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)


def test_what_may_be_requested_is_listed_and_requested(api_of, user, flow):
    AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    client = api_of(user)
    [item] = client.get("/inventory").json()["items"]
    assert item["flow"]["name"] == flow.name
    response = client.post("/requests", body_for(flow, targets=[item["id"]]))
    assert response.status_code == 201
    [created] = response.json()["requests"]
    assert created["status"] == "granting"
    assert response.json()["step_up_url"] is None
    assert client.get(f"/requests/{created['id']}").json()["targets"] == created["targets"]


def test_every_write_says_with_which_token(api_of, user, flow):
    client = api_of(user, name="ci")
    request_id = client.post("/requests", body_for(flow)).json()["requests"][0]["id"]
    client.post(f"/requests/{request_id}/cancel")
    events = Event.objects.filter(request_id=request_id)
    assert {event.event for event in events} >= {"request:submit", "request:cancel"}
    assert all(e.metadata["token"] == {"id": client.token.pk, "name": "ci"} for e in events)
    assert all(event.actor_id == user.pk for event in events)


def test_a_protected_request_waits_although_a_window_is_open(api_of, user, protected, verified):
    verified(user)
    response = api_of(user).post("/requests", body_for(protected)).json()
    [created] = response["requests"]
    assert created["status"] == "pending_mfa"
    assert response["step_up_url"] == (f"http://localhost/account/step-up/?request={created['id']}")


def test_a_service_called_with_a_token_and_a_window_uses_no_window(user, protected):
    request = submit_request(
        actor=user,
        flow=protected,
        target_ids=[target.pk for target in protected.targets.all()],
        duration=timedelta(hours=1),
        justification="Look into the failed import.",
        window=fresh_window(user),
        client_info=ClientInfo(token=TokenInfo(1, "ci")),
    )
    assert request.status == Status.PENDING_MFA


def test_the_link_leads_to_the_code_that_releases_it(api_of, user, protected, verified):
    AuthenticatorFactory(user=user)
    browser = verified(user)
    response = api_of(user, name="ci").post("/requests", body_for(protected)).json()
    page = browser.get(response["step_up_url"].removeprefix("http://localhost")).content.decode()
    assert "The API token <bdi>ci</bdi> requested" in page
    assert not re.search(r'name="leave_out"[^>]* checked', page)
    submit(browser, user, page)
    assert AccessRequest.objects.get().status == Status.GRANTING


def test_verifying_for_something_else_does_not_release_it(api_of, user, protected, signed_in):
    AuthenticatorFactory(user=user)
    own = AccessRequestFactory(requester=user, flow=protected, status=Status.PENDING_MFA)
    api_of(user).post("/requests", body_for(protected))
    browser = signed_in(user)
    page = browser.get("/account/step-up/").content.decode()
    submit(browser, user, page)
    statuses = dict(AccessRequest.objects.values_list("token_id", "status"))
    assert statuses.pop(None) == Status.GRANTING
    assert list(statuses.values()) == [Status.PENDING_MFA]
    own.refresh_from_db()


def test_a_code_without_a_list_releases_no_token_s_request(api_of, user, protected, signed_in):
    authenticator = AuthenticatorFactory(user=user)
    api_of(user).post("/requests", body_for(protected))
    signed_in(user).post("/account/step-up/", {"code": code_for(authenticator)})
    assert AccessRequest.objects.get().status == Status.PENDING_MFA


def submit(browser, user, page: str) -> None:
    """Send the page's form with a code, as a browser does."""
    authenticator = user.totpdevice_set.get()
    from mfa.models import Authenticator

    code = code_of(Authenticator.objects.get(pk=authenticator.pk))
    shown = re.search(r'name="shown" value="([\d,]*)"', page)[1]
    left_out = re.findall(r'name="leave_out" value="(\d+)"[^>]* checked', page)
    response = browser.post(
        "/account/step-up/", {"code": code, "shown": shown, "leave_out": left_out}
    )
    assert response.status_code == 302


def code_of(authenticator) -> str:
    authenticator.secret = authenticator.bin_key
    return code_for(authenticator)


@pytest.mark.parametrize(
    "extra",
    [
        {"code": "123456"},
        {"otp": "123456"},
        {"status": "granting"},
        {"requester": 1},
        {"require_mfa": False},
        {"verification": 1},
        {"window": {"verification_id": 1}},
        {"token_id": None},
    ],
)
def test_what_the_body_does_not_know_is_refused(api_of, user, protected, extra):
    authenticator = AuthenticatorFactory(user=user)
    if "code" in extra:
        extra = {"code": code_for(authenticator)}
    response = api_of(user).post("/requests", body_for(protected, **extra))
    assert response.status_code == 422
    assert response.headers["Content-Type"] == "application/problem+json"
    assert not AccessRequest.objects.exists()


def test_no_code_counts_in_any_place_of_a_call(api_of, user, protected):
    code = code_for(AuthenticatorFactory(user=user))
    headers = {"X-OTP": code, "X-MFA-Code": code}
    response = api_of(user).post(f"/requests?code={code}", body_for(protected), **headers)
    assert response.json()["requests"][0]["status"] == "pending_mfa"
    step_up = api_of(user).call("POST", "/api/v1/account/step-up/", {"code": code})
    assert step_up.status_code == 404


def test_a_token_does_not_open_the_pages(api_of, user, protected):
    client = api_of(user)
    for path in ("/", "/account/step-up/", "/requests/new/"):
        response = client._client.post(path, headers={"Authorization": f"Bearer {client.secret}"})
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/sign-in/")


def test_dry_run_says_what_submitting_would_do_and_writes_nothing(api_of, user, protected):
    client = api_of(user, [Scope.INVENTORY_READ])
    [part] = client.post("/requests/dry-run", body_for(protected)).json()["requests"]
    assert part["status"] == "pending_mfa"
    assert part["needs_verification"]
    too_long = client.post("/requests/dry-run", body_for(protected, duration="9h")).json()
    assert too_long["requests"][0]["status"] is None
    assert too_long["requests"][0]["refusals"][0]["field"] == "duration"
    assert not AccessRequest.objects.exists()


def test_everything_that_is_wrong_is_said_at_once(api_of, user, flow):
    response = (
        api_of(user).post("/requests", body_for(flow, duration="9h", justification="")).json()
    )
    assert {error["where"] for error in response["errors"]} == {"duration", "justification"}
    assert response["detail"] == response["errors"][0]["message"]


def test_targets_of_others_do_not_exist(api_of, user):
    foreign = AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    response = api_of(user).post("/requests", body_for(foreign))
    assert response.status_code == 422
    assert response.json()["field"] == "targets"


def test_requests_of_others_do_not_exist(api_of, user):
    foreign = AccessRequestFactory()
    client = api_of(user)
    assert client.get(f"/requests/{foreign.pk}").status_code == 404
    for action in ("cancel", "revoke", "again"):
        body = {} if action == "again" else None
        assert client.post(f"/requests/{foreign.pk}/{action}", body).status_code == 404
    assert client.get("/requests").json()["items"] == []


def test_pages_follow_each_other_by_cursor(api_of, user, flow):
    requests = [AccessRequestFactory(requester=user, flow=flow) for _ in range(27)]
    client = api_of(user)
    first = client.get("/requests").json()
    second = client.get(f"/requests?cursor={first['next_cursor']}").json()
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == sorted((request.pk for request in requests), reverse=True)
    assert second["next_cursor"] is None


def test_a_repeated_call_has_one_effect(api_of, user, flow):
    client = api_of(user)
    answers = [
        client.post("/requests", body_for(flow), **{"Idempotency-Key": "a"}).json()
        for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert AccessRequest.objects.count() == 1
    other = client.post("/requests", body_for(flow, duration="2h"), **{"Idempotency-Key": "a"})
    assert other.status_code == 409
    assert other.json()["code"] == "key_reused"
    api_of(user).post("/requests", body_for(flow), **{"Idempotency-Key": "a"})
    assert AccessRequest.objects.count() == 2


def test_a_refused_call_can_be_corrected_and_repeated(api_of, user, flow):
    client, key = api_of(user), {"Idempotency-Key": "b"}
    assert client.post("/requests", body_for(flow, duration="9h"), **key).status_code == 422
    assert client.post("/requests", body_for(flow), **key).status_code == 201


def test_a_key_is_free_again_after_a_day(api_of, user, flow):
    client, key = api_of(user), {"Idempotency-Key": "c"}
    client.post("/requests", body_for(flow), **key)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        client.post("/requests", body_for(flow), **key)
    assert AccessRequest.objects.count() == 2


def test_an_ended_request_is_requested_again(api_of, user, flow):
    original = AccessRequestFactory(requester=user, flow=flow, status=Status.REVOKED)
    body = {"justification": "The import failed once more."}
    response = api_of(user).post(f"/requests/{original.pk}/again", body)
    assert response.status_code == 201
    [created] = response.json()["requests"]
    assert created["duration_s"] == 3600
    active = AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    assert api_of(user).post(f"/requests/{active.pk}/again", body).status_code == 409


def test_requests_that_accept_passkeys_only_wait_too(api_of, user):
    flow = AccessFlowFactory(
        requester_users=[user],
        targets=1,
        require_mfa=True,
        mfa_strength=Strength.PHISHING_RESISTANT,
    )
    fresh_window(user)
    response = api_of(user).post("/requests", body_for(flow)).json()
    assert response["requests"][0]["status"] == "pending_mfa"
