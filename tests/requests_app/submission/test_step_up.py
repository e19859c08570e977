"""One right code releases all of a person's pending_mfa requests, and nothing else does."""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from mfa.models import Outcome
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.lifecycle import sign_request
from requests_app.models import AccessRequest, Status
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GroupFactory,
    UserFactory,
    code_for,
    set_requesters,
    take_fingerprint,
)

pytestmark = pytest.mark.django_db
FROM = ClientInfo("192.0.2.7", "Firefox")


@pytest.fixture
def authenticator():
    return AuthenticatorFactory(name="Aegis on Pixel 8")


def park(authenticator, **flow):
    user = authenticator.user
    made = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1, **flow)
    return AccessRequestFactory(requester=user, flow=made, status=Status.PENDING_MFA)


def enter(authenticator, code=None):
    code = code or code_for(authenticator)
    return step_up(user=authenticator.user, code=code, scope=ThrottleScope(), client_info=FROM)


def stands(request):
    request.refresh_from_db()
    return request.status


def wrong(authenticator):
    near = {
        code_for(authenticator, timezone.now() + timedelta(seconds=s))
        for s in (-60, -30, 0, 30, 60)
    }
    return next(
        code
        for code in ("000000", "111111", "222222", "333333", "444444", "555555")
        if code not in near
    )


def test_a_right_code_releases_every_pending_request(authenticator):
    opens, waits = park(authenticator), park(authenticator, approval="any_of")
    result, released = enter(authenticator)
    assert result.ok
    assert released == [opens, waits]
    assert stands(opens) == Status.GRANTING
    assert stands(waits) == Status.PENDING_APPROVAL


def test_the_evidence_is_on_each_request(authenticator):
    request = park(authenticator)
    result, _ = enter(authenticator)
    request.refresh_from_db()
    assert request.verification == result.verification
    assert request.verified_at == result.verification.at
    assert (request.verified_with, request.verified_from) == ("Aegis on Pixel 8", "192.0.2.7")


def test_the_record_of_the_code_names_what_it_released(authenticator):
    first, second = park(authenticator), park(authenticator)
    enter(authenticator)
    event = Event.objects.get(event=EventName.MFA_VERIFY)
    assert event.metadata["requests"] == [first.reference, second.reference]
    assert event.address == "192.0.2.7"


def test_a_wrong_code_releases_nothing_and_is_counted(authenticator):
    request = park(authenticator)
    result, released = enter(authenticator, wrong(authenticator))
    assert (result.outcome, released) == (Outcome.BAD, [])
    assert stands(request) == Status.PENDING_MFA
    assert authenticator.user.verifications.failures().count() == 1


def test_a_code_releases_once(authenticator):
    code = code_for(authenticator)
    enter(authenticator, code)
    request = park(authenticator)
    result, _ = enter(authenticator, code)
    assert result.outcome == Outcome.REPLAY
    assert stands(request) == Status.PENDING_MFA


def test_another_persons_requests_stay_pending(authenticator):
    theirs = park(AuthenticatorFactory())
    enter(authenticator)
    assert stands(theirs) == Status.PENDING_MFA


def test_a_changed_flow_cancels_instead(authenticator):
    request = park(authenticator)
    request.flow.max_duration = timedelta(hours=2)
    request.flow.save()
    take_fingerprint(request.flow)
    _, released = enter(authenticator)
    assert (released, stands(request)) == ([], Status.CANCELLED)
    assert "was changed" in request.message


def test_a_flow_switched_off_cancels_instead(authenticator):
    request = park(authenticator)
    type(request.flow).objects.update(is_active=False)
    enter(authenticator)
    assert stands(request) == Status.CANCELLED
    assert "deactivated" in request.message


def test_no_longer_a_requester_cancels_instead(authenticator):
    request = park(authenticator)
    set_requesters(request.flow, users=[UserFactory()])
    enter(authenticator)
    assert stands(request) == Status.CANCELLED


def test_a_code_after_the_deadline_lapses_instead(authenticator):
    request = park(authenticator)
    with time_machine.travel(request.pending_until, tick=False):
        result, released = enter(authenticator)
    assert result.ok
    assert (released, stands(request)) == ([], Status.LAPSED)
    assert request.message == "MFA was not verified in time."


def test_approvals_given_before_a_reset_still_count(authenticator):
    approver = UserFactory()
    request = park(authenticator, approval="any_of", approver_users=[approver])
    DecisionFactory(request=request, approver=approver)
    enter(authenticator)
    assert stands(request) == Status.GRANTING


def test_the_database_refuses_a_release_without_evidence(authenticator):
    request = park(authenticator)
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessRequest.objects.filter(pk=request.pk).update(status=Status.GRANTING)


# --- The page ----------------------------------------------------------------------------------
STEP_UP = "/account/step-up/"


def post(client, authenticator, code=None, **more):
    return client.post(STEP_UP, {"code": code or code_for(authenticator), **more})


def test_the_page_opens_the_window_and_leads_to_what_was_released(authenticator, signed_in):
    request = park(authenticator)
    client = signed_in(authenticator.user)
    answer = post(client, authenticator)
    assert answer.headers["Location"] == reverse("requests:detail", args=[request.pk])
    assert "MFA verified" in client.get(answer.headers["Location"]).content.decode()


@pytest.mark.parametrize("spaced", ["{0} {1}", "{0}-{1}", " {0}{1} "])
def test_the_page_takes_a_code_as_people_type_it(authenticator, signed_in, spaced):
    code = code_for(authenticator)
    answer = post(signed_in(authenticator.user), authenticator, spaced.format(code[:3], code[3:]))
    assert answer.status_code == 302


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        "abcdef",
        "٢٠٤٤٩٠",
        "+12345",
        "1_2345",
        "\uff10\uff11\uff12\uff13\uff14\uff15",
    ],
)
def test_what_cannot_be_a_code_is_told_and_not_counted(authenticator, signed_in, code):
    answer = signed_in(authenticator.user).post(STEP_UP, {"code": code})
    assert answer.status_code == 422
    assert "digits" in answer.content.decode()
    assert authenticator.user.verifications.count() == 0


def test_a_wrong_code_is_told(authenticator, signed_in):
    answer = post(signed_in(authenticator.user), authenticator, wrong(authenticator))
    assert answer.status_code == 422
    assert "Incorrect code" in answer.content.decode()


def test_it_leads_back_to_where_one_came_from(authenticator, signed_in):
    answer = post(signed_in(authenticator.user), authenticator, next="/requests/new/?flow=1")
    assert answer.headers["Location"] == "/requests/new/?flow=1"


@pytest.mark.parametrize(
    "destination",
    ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil.example"],
)
def test_it_never_leads_elsewhere(authenticator, signed_in, destination):
    answer = post(signed_in(authenticator.user), authenticator, next=destination)
    assert answer.headers["Location"] == "/"


def test_five_wrong_codes_end_the_session(authenticator, signed_in):
    request = park(authenticator)
    client = signed_in(authenticator.user)
    answers = [post(client, authenticator, wrong(authenticator)) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [422] * 4 + [302]
    assert answers[-1].headers["Location"] == reverse("users:sign_in")
    assert "_auth_user_id" not in client.session
    assert stands(request) == Status.PENDING_MFA


def test_a_locked_out_browser_sees_until_when(authenticator, signed_in):
    request = park(authenticator)
    first = signed_in(authenticator.user)
    for _ in range(5):
        post(first, authenticator, wrong(authenticator))
    again = signed_in(authenticator.user)
    answer = post(again, authenticator)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert "still waiting" in answer.content.decode()
    assert "Try again at" in again.get(STEP_UP).content.decode()
    assert stands(request) == Status.PENDING_MFA


def test_an_open_window_says_so(authenticator, signed_in):
    client = signed_in(authenticator.user)
    post(client, authenticator)
    assert "No code is needed now" in client.get(STEP_UP).content.decode()


def test_the_page_is_never_kept(authenticator, signed_in):
    assert "no-store" in signed_in(authenticator.user).get(STEP_UP).headers["Cache-Control"]


def test_what_is_left_out_stays_pending_and_is_recorded(authenticator):
    mine, odd = park(authenticator), park(authenticator)
    _, released = step_up(
        user=authenticator.user,
        code=code_for(authenticator),
        scope=ThrottleScope(),
        client_info=FROM,
        leave_out={odd.pk},
    )
    assert (released, stands(odd)) == ([mine], Status.PENDING_MFA)
    event = Event.objects.get(event=EventName.MFA_VERIFY)
    assert event.metadata["left_out"] == [odd.reference]


def test_only_what_was_left_out_is_recorded_as_left_out(authenticator):
    """What was pending_mfa since the page was shown stays pending_mfa, too, but nobody left it out."""
    shown, odd, newcomer = (park(authenticator) for _ in range(3))
    step_up(
        user=authenticator.user,
        code=code_for(authenticator),
        scope=ThrottleScope(),
        client_info=FROM,
        leave_out={odd.pk},
        shown={shown.pk, odd.pk},
    )
    assert stands(newcomer) == Status.PENDING_MFA
    event = Event.objects.get(event=EventName.MFA_VERIFY)
    assert event.metadata["left_out"] == [odd.reference]


def test_a_released_request_is_passed_on_when_nobody_decides(authenticator):
    request = park(authenticator, approval="any_of", approver_users=[UserFactory()])
    wait = timedelta(hours=1)
    group = GroupFactory(members=[UserFactory()])
    request.flow.escalation_tiers.create(position=1, wait=wait, group=group)
    take_fingerprint(request.flow)
    request.flow_fingerprint = request.flow.fingerprint
    request.save(update_fields=["flow_fingerprint"])
    sign_request(request)
    with time_machine.travel(timezone.now(), tick=False):
        enter(authenticator)
        assert stands(request) == Status.PENDING_APPROVAL
        assert request.escalates_at == timezone.now() + wait


def test_the_page_leaves_out_what_is_marked(authenticator, signed_in):
    mine, odd = park(authenticator), park(authenticator)
    form = {"code": code_for(authenticator), "leave_out": [str(odd.pk), "x"]}
    signed_in(authenticator.user).post(reverse("requests:step_up"), form)
    assert (stands(mine), stands(odd)) == (Status.GRANTING, Status.PENDING_MFA)


def test_what_became_pending_after_the_page_was_shown_stays_pending(authenticator, signed_in):
    mine, client = park(authenticator), signed_in(authenticator.user)
    assert f'name="shown" value="{mine.pk}"' in client.get(STEP_UP).content.decode()
    odd = park(authenticator)
    form = {"code": code_for(authenticator), "shown": str(mine.pk)}
    answer = client.post(STEP_UP, form, follow=True)
    assert (stands(mine), stands(odd)) == (Status.GRANTING, Status.PENDING_MFA)
    assert f"Submitted after this page was shown and not released: {odd.reference}" in (
        answer.content.decode()
    )


def test_a_page_that_showed_nothing_pending_releases_nothing(authenticator, signed_in):
    client = signed_in(authenticator.user)
    assert 'name="shown" value=""' in client.get(STEP_UP).content.decode()
    odd = park(authenticator)
    client.post(STEP_UP, {"code": code_for(authenticator), "shown": ""})
    assert stands(odd) == Status.PENDING_MFA


def test_what_cannot_be_a_recovery_code_is_no_try(authenticator, signed_in):
    address = f"{reverse('requests:step_up')}?with=recovery"
    page = signed_in(authenticator.user).post(address, {"code": "abcde"})
    assert (page.status_code, authenticator.user.verifications.count()) == (422, 0)
    assert "four groups of five" in page.content.decode()
