"""New Request in the browser: redirects, errors, and that nothing typed is lost."""

import pytest
from django.urls import reverse

from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AuthenticatorFactory, UserFactory

pytestmark = pytest.mark.django_db
NEW = "/requests/new/"


@pytest.fixture
def user():
    return UserFactory()


@pytest.fixture
def flow(user):
    return AccessFlowFactory(name="Orders read-only", requester_users=[user], targets=1)


def form_of(flow, /, **changes):
    data = {
        "target": [target.pk for target in flow.targets.all()],
        "duration": "1h",
        "justification": "Backfill carrier_id, OPS-4821",
    }
    return data | changes


def send(client, flow, /, **changes):
    return client.post(NEW, form_of(flow, **changes))


def test_a_request_leads_to_its_page(user, flow, signed_in):
    answer = send(signed_in(user), flow)
    request = AccessRequest.objects.get()
    assert answer.headers["Location"] == reverse("requests:detail", args=[request.pk])
    assert (request.status, request.requester) == (Status.GRANTING, user)


def test_a_request_pending_mfa_redirects_to_verification(user, signed_in):
    AuthenticatorFactory(user=user)
    protected = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    answer = send(signed_in(user), protected)
    request = AccessRequest.objects.get()
    assert answer.headers["Location"] == f"/account/step-up/?next=%2Frequests%2FAR-{request.pk}%2F"


def test_a_request_pending_mfa_without_mfa_redirects_to_set_up(user, signed_in):
    protected = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    answer = send(signed_in(user), protected)
    request = AccessRequest.objects.get()
    next_url = f"?next=%2Frequests%2FAR-{request.pk}%2F"
    assert answer.headers["Location"] == reverse("mfa:security") + next_url
    assert request.status == Status.PENDING_MFA


def test_a_request_waiting_for_approvers_says_so(user, signed_in):
    flow = AccessFlowFactory(
        approval="any_of", approver_users=[UserFactory()], requester_users=[user], targets=1
    )
    page = signed_in(user).post(NEW, form_of(flow), follow=True).content.decode()
    assert "was sent to its approvers" in page


BAD = {
    "no duration": ({"duration": ""}, "Enter a duration"),
    "zero": ({"duration": "0"}, "minimum duration"),
    "negative": ({"duration": "-1h"}, "not a duration"),
    "not a number": ({"duration": "NaN"}, "not a duration"),
    "endless": ({"duration": "inf"}, "not a duration"),
    "too long": ({"duration": "8h 1m"}, "is 8 h"),
    "huge": ({"duration": "9" * 39}, "not a duration"),
    "other digits": ({"duration": "\u0661h"}, "not a duration"),
    "no reason": ({"justification": ""}, "Explain in words"),
    "blank": ({"justification": " \n "}, "Explain in words"),
    "symbols": ({"justification": "!!! ???"}, "Explain in words"),
    "ten thousand": ({"justification": "x" * 10_000}, "the maximum is 2,000"),
    "null byte": ({"justification": "a\x00b"}, "Null characters"),
    "no target": ({"target": []}, "Select what you need"),
    "too many targets": ({"target": range(1000, 1051)}, "at most 50"),
    "too many tickets": ({"ticket": "a b c d e f"}, "at most 5 tickets"),
    "a ticket without end": ({"ticket": "x" * 10_000}, "at most 320"),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_input_gets_an_error_and_creates_nothing(user, flow, signed_in, case):
    changes, sentence = BAD[case]
    answer = send(signed_in(user), flow, **changes)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert AccessRequest.objects.count() == 0


@pytest.mark.parametrize("target", ["", "x", "-1", "9" * 30, "²", "999999"])
def test_an_unavailable_target_gets_an_error(user, flow, signed_in, target):
    answer = send(signed_in(user), flow, target=target)
    assert answer.status_code == 422
    assert "elect" in answer.content.decode()
    assert AccessRequest.objects.count() == 0


def test_a_target_of_others_refuses_the_whole_selection(user, flow, signed_in):
    other = AccessFlowFactory(targets=1)
    both = [flow.targets.get().pk, other.targets.get().pk]
    answer = send(signed_in(user), flow, target=both)
    assert answer.status_code == 422
    assert AccessRequest.objects.count() == 0


def test_what_was_typed_is_kept(user, flow, signed_in):
    justification = "Fix <b>19</b> orders\nsecond line"
    page = send(signed_in(user), flow, duration="99h", justification=justification).content.decode()
    assert 'value="99h"' in page
    assert "Fix &lt;b&gt;19&lt;/b&gt; orders\nsecond line" in page
    assert page.count(" checked") == 1


def test_unexpected_fields_change_nothing(user, flow, signed_in):
    """Mass assignment: no field of the model is taken from the form (CVE-2025-1969)."""
    stranger = UserFactory()
    extra = {field.name: "1" for field in AccessRequest._meta.fields}
    extra |= {"status": "active", "requester": stranger.pk, "require_mfa": "", "approval": "any_of"}
    offered = {"duration", "justification", "ticket"}
    send(signed_in(user), flow, **{key: extra[key] for key in set(extra) - offered})
    request = AccessRequest.objects.get()
    assert (request.status, request.requester) == (Status.GRANTING, user)
    assert request.verified_at is None
    assert request.max_duration == flow.max_duration


def test_a_script_in_a_justification_is_text(user, flow, signed_in):
    client = signed_in(user)
    justification = "<script>alert(1)</script> {{ 7|add:7 }} {0.__class__}"
    send(client, flow, justification=justification)
    page = client.get(reverse("requests:detail", args=[AccessRequest.objects.get().pk]))
    assert "<script>alert(1)" not in page.content.decode()
    assert "&lt;script&gt;alert(1)" in page.content.decode()


def test_a_target_in_the_url_is_selected(user, flow, signed_in):
    ticked = {"target": flow.targets.get().pk, "duration": "90m"}
    page = signed_in(user).get(NEW, ticked).content.decode()
    assert page.count(" checked") == 1
    assert "for 1 h 30 min from then" in page


def test_only_requestable_flows_are_listed(user, flow, signed_in):
    AccessFlowFactory(name="Somebody else's", targets=1)
    page = signed_in(user).get(NEW).content.decode()
    assert "Orders read-only" in page
    assert "Somebody else" not in page


def test_the_preview_shows_mfa_and_approvers(user, signed_in):
    flow = AccessFlowFactory(
        require_mfa=True,
        approval="any_of",
        approver_users=[UserFactory(name="Priya Raman")],
        requester_users=[user],
        targets=1,
    )
    page = signed_in(user).get(NEW, {"target": flow.targets.get().pk}).content.decode()
    assert "MFA required" in page
    assert "Any one of: Priya Raman." in page


def test_the_banner_names_requests_pending_mfa(user, signed_in):
    AuthenticatorFactory(user=user)
    protected = AccessFlowFactory(
        name="Billing", require_mfa=True, requester_users=[user], targets=1
    )
    client = signed_in(user)
    send(client, protected)
    page = client.get("/requests/").content.decode()
    assert "Access is waiting for you" in page
    assert f"AR-{AccessRequest.objects.get().pk} Billing" in page
