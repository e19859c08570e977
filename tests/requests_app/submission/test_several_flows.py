"""Several flows at once: one request each, by its own rules, after a review."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse

from mfa.verification.throttle_scope import ThrottleScope
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest, Status
from requests_app.submission.pending_mfa import MAX_PENDING_MFA
from requests_app.submission.selection import Selection
from requests_app.submission.services import submit_requests
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GroupFactory,
    UserFactory,
    code_for,
    set_requesters,
)
from tests.fixtures.submission import select

pytestmark = pytest.mark.django_db
NEW = "/requests/new/"
JUSTIFICATION = "Backfill carrier_id, OPS-4821"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def lax(user):
    return AccessFlowFactory(name="Lax", requester_users=[user], targets=2)


@pytest.fixture
def strict(user):
    return AccessFlowFactory(
        name="Strict",
        requester_users=[user],
        targets=1,
        require_mfa=True,
        approval="any_of",
        approver_users=[UserFactory()],
        max_duration=timedelta(hours=2),
    )


def test_the_preview_of_more_flows_needs_no_more_statements(user, strict, verified, questions_of):
    client, flows, counts = verified(user), [strict], []
    for _ in range(2):
        flows += [
            AccessFlowFactory(
                requester_users=[user],
                targets=1,
                approval="any_of",
                approver_groups=[GroupFactory(members=[UserFactory()])],
            )
            for _ in range(len(flows))
        ]
        targets = "".join(f"target={flow.targets.get().pk}&" for flow in flows)
        counts.append(questions_of(client, f"{NEW}?{targets}duration=1h"))
    assert counts[0] == counts[1]


def submit(user, *flows, hours=1, window=None):
    targets = [target for flow in flows for target in flow.targets.select_related("flow")]
    selection = Selection(targets, timedelta(hours=hours), JUSTIFICATION)
    return submit_requests(actor=user, selection=selection, window=window)


def form_data(*flows, **changes):
    targets = [target.pk for flow in flows for target in flow.targets.all()]
    return {"target": targets, "duration": "4h", "justification": JUSTIFICATION} | changes


def seen_on(page):
    return re.search(r'name="seen" value="(\w+)"', page)[1]


def made_by(client, fields):
    page = client.post(NEW, fields).content.decode()
    return client.post(NEW, fields | {"seen": seen_on(page)})


def by_flow():
    return {request.flow_name: request for request in AccessRequest.objects.all()}


def test_each_request_follows_its_own_flow(user, lax, strict):
    submit(user, lax, strict, hours=4)
    free, guarded = by_flow()["Lax"], by_flow()["Strict"]
    assert (free.status, guarded.status) == (Status.GRANTING, Status.PENDING_MFA)
    assert (free.require_mfa, free.approval) == (False, "automatic")
    assert (free.max_duration, guarded.max_duration) == (lax.max_duration, strict.max_duration)
    assert (free.targets.count(), guarded.targets.count()) == (2, 1)


def test_evidence_stays_with_the_flow_that_requires_it(user, lax, strict, open_window_of):
    window = open_window_of(user)
    submit(user, lax, strict, window=window)
    assert by_flow()["Lax"].verified_at is None
    assert by_flow()["Strict"].verified_at == window.verified_at
    assert by_flow()["Strict"].status == Status.PENDING_APPROVAL


def test_one_refusal_refuses_all(user, lax, strict):
    set_requesters(strict)
    with pytest.raises(RequestRefused) as refusal:
        submit(user, lax, strict)
    assert refusal.value.field == "flow"
    assert not AccessRequest.objects.exists()


def test_targets_of_another_flow_are_refused(user, lax, strict):
    targets = select(
        lax, [target.pk for target in strict.targets.all()], timedelta(hours=1)
    ).targets
    forged = Selection(targets, timedelta(hours=1), JUSTIFICATION)
    with pytest.raises(RequestRefused) as refusal:
        submit_requests(actor=user, selection=forged, window=None)
    assert refusal.value.field == "targets"


def test_one_code_releases_all(user, lax, strict):
    other = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    authenticator = AuthenticatorFactory(user=user)
    submit(user, strict, other)
    step_up(user=user, code=code_for(authenticator), scope=ThrottleScope())
    assert {request.status for request in AccessRequest.objects.all()} == {
        Status.PENDING_APPROVAL,
        Status.GRANTING,
    }


def test_several_at_once_do_not_exceed_the_limit_of_requests_pending_mfa(user, strict):
    AccessRequestFactory.create_batch(
        MAX_PENDING_MFA - 1, requester=user, flow=strict, status=Status.PENDING_MFA
    )
    other = AccessFlowFactory(requester_users=[user], targets=1, require_mfa=True)
    with pytest.raises(RequestRefused, match="already waiting"):
        submit(user, strict, other)
    assert AccessRequest.objects.count() == MAX_PENDING_MFA - 1


def test_several_requests_need_a_review_first(user, lax, strict, signed_in):
    answer = signed_in(user).post(NEW, form_data(lax, strict))
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "This creates <strong>2 requests</strong>" in page
    assert "Strict: maximum 2 h." in page
    assert not AccessRequest.objects.exists()


def test_each_flow_has_its_own_maximum(user, lax, strict, signed_in):
    made_by(signed_in(user), form_data(lax, strict))
    assert by_flow()["Lax"].duration == timedelta(hours=4)
    assert by_flow()["Strict"].duration == timedelta(hours=2)


def test_longer_than_every_maximum_is_refused(user, lax, strict, signed_in):
    page = signed_in(user).post(NEW, form_data(lax, strict, duration="9h")).content.decode()
    answer = signed_in(user).post(NEW, form_data(lax, strict, duration="9h", seen=seen_on(page)))
    assert answer.status_code == 422
    assert not AccessRequest.objects.exists()


@pytest.mark.parametrize("change", ["duration", "flow", "target"])
def test_a_selection_changed_since_the_review_is_reviewed_again(
    user, lax, strict, signed_in, change
):
    client, fields = signed_in(user), form_data(lax, strict)
    seen = seen_on(client.post(NEW, fields).content.decode())
    if change == "duration":
        fields["duration"] = "3h"
    elif change == "target":
        fields["target"] = fields["target"][1:]
    else:
        type(lax).objects.filter(pk=lax.pk).update(fingerprint="f" * 64)
    assert client.post(NEW, fields | {"seen": seen}).status_code == 200
    assert not AccessRequest.objects.exists()


def test_submission_redirects_to_verification_and_the_created_requests(
    user, lax, strict, signed_in
):
    AuthenticatorFactory(user=user)
    client = signed_in(user)
    answer = made_by(client, form_data(lax, strict))
    first, second = (by_flow()[name].pk for name in ("Lax", "Strict"))
    listed = f"{reverse('requests:submitted')}?of={first}&of={second}"
    assert answer.headers["Location"].startswith(
        "/account/step-up/?next=%2Frequests%2Fsubmitted%2F"
    )
    page = client.get(listed).content.decode()
    assert "2 requests created" in page
    assert f"AR-{first}" in page
    assert f"AR-{second}" in page


@pytest.mark.parametrize("of", [[], ["x"], ["-1"], ["9" * 30], [1]])
def test_nobody_elses_requests_are_listed(user, lax, signed_in, of):
    submit(user, lax)
    numbers = [AccessRequest.objects.get().pk] if of == [1] else of
    assert signed_in(UserFactory()).get("/requests/submitted/", {"of": numbers}).status_code == 404


def test_a_target_sent_twice_is_requested_once(user, lax, signed_in):
    fields = form_data(lax)
    signed_in(user).post(NEW, fields | {"target": fields["target"] * 2})
    assert AccessRequest.objects.get().targets.count() == 2
