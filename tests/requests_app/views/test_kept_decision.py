"""A decision chosen before its approver verified: kept, shown with the code, recorded with it."""

from datetime import timedelta

import pyotp
import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apono_portal.users.models import User
from mfa.models import Outcome, Strength, Verification
from requests_app.models import AccessRequest, Decision, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    UserFactory,
    code_for,
    take_fingerprint,
)
from tests.mfa.conftest import freshly_signed_in, soft_passkey

pytestmark = pytest.mark.django_db
STEP_UP = "/account/step-up/"
REASON = "Matches FIN-2207."


@pytest.fixture
def authenticator():
    return AuthenticatorFactory()


def ask(approver: User) -> AccessRequest:
    requester = UserFactory()
    flow = AccessFlowFactory(
        require_mfa=True,
        approval="any_of",
        approver_users=[approver],
        requester_users=[requester],
        targets=1,
    )
    return AccessRequestFactory(
        requester=requester, flow=flow, status=Status.PENDING_APPROVAL, duration=timedelta(hours=2)
    )


def choose(browser: Client, request: AccessRequest, verdict="approve", reason=REASON):
    """Choose on the review page and return the page this leads to."""
    page = browser.get(reverse("requests:decide", args=[request.pk]))
    initial = page.context["form"].initial
    form = {name: initial[name] for name in ("fingerprint", "digest")} | {"reason": reason}
    return browser.post(reverse(f"requests:{verdict}", args=[request.pk]), form, follow=True)


def token_on(page) -> str:
    return page.context["kept_decision"].decision.token


def test_a_choice_is_recorded_with_the_code(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    text = page.content.decode()
    assert f"Approve {request.reference} for 2 h" in text
    assert REASON in text
    assert not Decision.objects.exists()
    form = {"code": code_for(authenticator), "decision": token_on(page)}
    done = browser.post(STEP_UP, form, follow=True)
    assert f"{request.reference} was approved." in done.content.decode()
    decision = Decision.objects.get()
    assert (decision.verdict, decision.reason) == ("approve", REASON)
    assert decision.verification.user == authenticator.user
    assert decision.is_authentic


def test_a_rejection_is_kept_too(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request, "reject")
    assert f"Reject {request.reference}<" in page.content.decode()
    browser.post(STEP_UP, {"code": code_for(authenticator), "decision": token_on(page)})
    request.refresh_from_db()
    assert request.status == Status.REJECTED


def test_a_new_approver_records_it_with_the_code_that_turns_mfa_on(signed_in):
    approver = UserFactory()
    request, browser = ask(approver), freshly_signed_in(approver, signed_in)
    led = choose(browser, request)
    assert led.request["PATH_INFO"] == "/account/security/"
    page = browser.post("/account/security/authenticator/", {"next": led.context["next"]})
    page = browser.get(page.headers["Location"])
    assert REASON in page.content.decode()
    code = pyotp.parse_uri(page.context["provisioning"].uri).now()
    form = {"code": code, "decision": token_on(page)}
    done = browser.post("/account/security/authenticator/confirm/", form)
    assert f"{request.reference} was approved." in done.content.decode()
    assert Decision.objects.get().verification.scope == "set_up"


def test_a_code_records_no_decision_on_a_passkey_only_flow_but_keeps_it(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    strong(request)
    page = choose(browser, request)
    assert "This flow requires a passkey" in page.content.decode()
    form = {"code": code_for(authenticator), "decision": token_on(page)}
    led = browser.post(STEP_UP, form, follow=True)
    assert "Your decision was not recorded yet." in led.content.decode()
    assert "Recorded as soon as you verify with a passkey." in led.content.decode()
    assert not Decision.objects.exists()
    passkey = soft_passkey(authenticator.user)
    answer = passkey.sign(browser.post("/account/passkey/options/").content.decode())
    form = {"credential": answer, "decision": token_on(led)}
    done = browser.post(STEP_UP, form, follow=True)
    assert f"{request.reference} was approved." in done.content.decode()
    assert Decision.objects.get().verification.method == "passkey"


def lock_out(user: User) -> None:
    """Record as many incorrect codes as a day allows."""
    now = timezone.now()
    Verification.objects.bulk_create(
        Verification(user=user, outcome=Outcome.BAD, at=now - timedelta(minutes=n), epoch=0)
        for n in range(1, 21)
    )


def test_passkey_during_a_lockout_records_and_releases_what_is_chosen(authenticator, signed_in):
    user = authenticator.user
    flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    waiting = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
    request, browser = ask(user), signed_in(user)
    soft_passkey(user)
    lock_out(authenticator.user)
    text = choose(browser, request).content.decode()
    assert "Try again at" in text
    assert 'name="decision"' in text
    assert f'name="leave_out" value="{waiting.pk}"' in text
    assert "This releases 1 pending request<" in text


def test_nothing_can_be_chosen_during_a_lockout_without_a_passkey(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    lock_out(authenticator.user)
    text = choose(browser, request).content.decode()
    assert "Try again at" in text
    assert 'name="decision"' not in text


def strong(request: AccessRequest) -> None:
    """Have the flow accept passkeys only, and the request be one of its own."""
    request.flow.mfa_strength = Strength.PHISHING_RESISTANT
    request.flow.save()
    take_fingerprint(request.flow)
    request.flow_fingerprint = request.flow.fingerprint
    request.mfa_strength = Strength.PHISHING_RESISTANT
    request.verified_method = "passkey"
    request.sign().save()


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"decision": ""},
        {"decision": "another"},
        {"decision": None, "leave_out_decision": "on"},
    ],
)
def test_nothing_is_recorded_that_the_page_did_not_show_or_that_was_left_out(
    authenticator, signed_in, form
):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    form = {name: value or token_on(page) for name, value in form.items() if value != ""}
    browser.post(STEP_UP, {"code": code_for(authenticator)} | form)
    assert not Decision.objects.exists()
    again = browser.get(reverse("requests:decide", args=[request.pk]))
    assert REASON in again.content.decode()


def test_a_wrong_code_records_nothing_and_keeps_the_choice(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    wrong = f"{(int(code_for(authenticator)) + 500_000) % 1_000_000:06}"
    refused = browser.post(STEP_UP, {"code": wrong, "decision": token_on(page)})
    assert refused.status_code == 422
    assert token_on(refused) == token_on(page)
    assert not Decision.objects.exists()


def test_a_request_that_changed_meanwhile_is_not_decided(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    AccessRequest.objects.filter(pk=request.pk).update(justification="Something else entirely")
    form = {"code": code_for(authenticator), "decision": token_on(page)}
    done = browser.post(STEP_UP, form, follow=True)
    assert "Your decision was not recorded. This page is out of date." in done.content.decode()
    assert done.request["PATH_INFO"] == reverse("requests:decide", args=[request.pk])
    assert not Decision.objects.exists()


def test_an_approver_removed_meanwhile_decides_nothing(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    request.flow.approver_users.set([UserFactory()])
    form = {"code": code_for(authenticator), "decision": token_on(page)}
    done = browser.post(STEP_UP, form, follow=True)
    assert "Your decision was not recorded." in done.content.decode()
    assert not Decision.objects.exists()


def test_a_choice_is_kept_for_a_quarter_of_an_hour(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page = choose(browser, request)
    with time_machine.travel(timezone.now() + timedelta(minutes=15), tick=False):
        assert browser.get(STEP_UP).context["kept_decision"] is None
        form = {"code": code_for(authenticator), "decision": token_on(page)}
        done = browser.post(STEP_UP, form, follow=True)
    assert "Your decision was not recorded. Review the request again." in done.content.decode()
    assert not Decision.objects.exists()


def test_a_choice_is_of_its_session_alone(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    token, other = token_on(choose(browser, request)), signed_in(authenticator.user)
    other.post(STEP_UP, {"code": code_for(authenticator), "decision": token})
    assert not Decision.objects.exists()


def test_a_later_choice_takes_the_place_of_the_earlier(authenticator, signed_in):
    first, second = ask(authenticator.user), ask(authenticator.user)
    browser = signed_in(authenticator.user)
    stale = token_on(choose(browser, first))
    choose(browser, second)
    browser.post(STEP_UP, {"code": code_for(authenticator), "decision": stale})
    assert not Decision.objects.exists()


def test_the_session_keeps_no_code(authenticator, signed_in):
    request, browser = ask(authenticator.user), signed_in(authenticator.user)
    page, code = choose(browser, request), code_for(authenticator)
    browser.post(STEP_UP, {"code": code, "decision": token_on(page)})
    assert code not in str(dict(browser.session))
    assert "kept_decision" not in browser.session
