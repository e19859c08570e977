"""What a flow demands beyond Require MFA holds at every place that checks evidence."""

from datetime import timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils import timezone

from accessflows.flows.fingerprint import compute_fingerprint
from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM
from mfa.enrolment.recovery_codes import replace_recovery_codes
from mfa.exceptions import (
    DeviceBoundRequired,
    OwnVerificationRequired,
    PasskeyRequired,
    WindowClosed,
)
from mfa.methods.services import vouch_for_passkey
from mfa.models import Passkey, Strength, Verification
from mfa.passkeys.verification import begin_verification
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.approvals.services import APPROVE, decide_request
from requests_app.exceptions import RequestRefused
from requests_app.grants.activation import begin_activation, confirm_activation
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.models import AccessRequest, Status
from requests_app.policies import approval_gap
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GrantFactory,
    PasskeyFactory,
    UserFactory,
    VerificationFactory,
    code_for,
    sign,
    window_of,
)
from tests.fixtures.submission import submit_request
from tests.mfa.conftest import soft_passkey

pytestmark = pytest.mark.django_db
STRONG = {"require_mfa": True, "mfa_strength": Strength.PHISHING_RESISTANT}
DEVICE_BOUND = {"require_mfa": True, "mfa_strength": Strength.DEVICE_BOUND}
OWN = {"require_mfa": True, "verify_every_request": True}


@pytest.fixture
def person():
    return UserFactory()


def flow_for(person, **terms):
    return AccessFlowFactory(requester_users=[person], targets=1, **terms)


def ask(person, flow, window=None) -> AccessRequest:
    return submit_request(
        actor=person,
        flow=flow,
        target_ids=[flow.targets.get().pk],
        duration=timedelta(hours=1),
        justification="OPS-1",
        window=window,
    )


def by_code(user):
    return window_of(VerificationFactory(user=user))


def by_passkey(user, **passkey):
    return window_of(VerificationFactory(user=user, passkey=PasskeyFactory(user=user, **passkey)))


def use_passkey(user, soft):
    options = begin_verification(user=user, session_ref="s")
    scope = ThrottleScope(session_ref="s")
    return step_up(user=user, passkey=soft.sign(options), scope=scope)


def enter_code(user, device):
    return step_up(user=user, code=code_for(device), scope=ThrottleScope())


def status_of(request):
    request.refresh_from_db()
    return request.status


def new_passkey():
    return {"created_at": timezone.now()}


def test_both_terms_are_in_the_fingerprint(person):
    prints = [compute_fingerprint(flow_for(person, name="A", require_mfa=True))]
    flow = AccessFlow.objects.requestable_by(person).get()
    for change in (
        {"mfa_strength": Strength.PHISHING_RESISTANT},
        {"mfa_strength": Strength.DEVICE_BOUND},
        {"verify_every_request": True},
    ):
        for name, value in change.items():
            setattr(flow, name, value)
        prints.append(compute_fingerprint(flow))
    assert len(set(prints)) == 4


def test_database_refuses_strength_without_require_mfa(person):
    with pytest.raises(IntegrityError), transaction.atomic():
        flow_for(person, mfa_strength=Strength.PHISHING_RESISTANT)


def test_window_opened_by_a_code_does_not_cover_a_strong_flow(person):
    assert ask(person, flow_for(person, **STRONG), by_code(person)).status == Status.PENDING_MFA


def test_window_opened_by_a_passkey_covers_it(person):
    request = ask(person, flow_for(person, **STRONG), by_passkey(person))
    assert (request.status, request.verified_method) == (Status.GRANTING, "passkey")


def test_new_passkey_does_not_cover_it_until_it_counts_or_is_vouched_for(person):
    flow = flow_for(person, **STRONG)
    window = by_passkey(person, **new_passkey())
    assert ask(person, flow, window).status == Status.PENDING_MFA
    admin = UserFactory(admin=True)
    pk = Passkey.objects.get().pk
    vouch_for_passkey(actor=admin, user=person, pk=pk, window=by_code(admin), client_info=SYSTEM)
    assert ask(person, flow, window).status == Status.GRANTING


def test_waiting_time_is_over_after_a_day(person):
    soft = soft_passkey(person, days_old=0)
    request = ask(person, flow_for(person, **STRONG))
    assert use_passkey(person, soft)[1] == []
    with time_machine.travel(timezone.now() + timedelta(hours=24, seconds=1)):
        AccessRequest.objects.update(pending_until=timezone.now() + timedelta(hours=1))
        sign(request)
        assert use_passkey(person, soft)[1] == [request]


def test_code_releases_what_it_may_and_leaves_the_rest(person):
    device = AuthenticatorFactory(user=person)
    strong, weak = (
        ask(person, flow_for(person, **STRONG)),
        ask(person, flow_for(person, require_mfa=True)),
    )
    result, released = enter_code(person, device)
    assert (result.ok, released) == (True, [weak])
    assert status_of(strong) == Status.PENDING_MFA
    assert use_passkey(person, soft_passkey(person))[1] == [strong]


def test_recovery_code_never_releases_a_strong_request(person):
    soft_passkey(person)
    [code, *_] = replace_recovery_codes(user_id=person.pk)
    strong = ask(person, flow_for(person, **STRONG))
    result, released = step_up(user=person, code=code, scope=ThrottleScope(), recovery=True)
    assert (result.ok, released) == (True, [])
    assert status_of(strong) == Status.PENDING_MFA


def test_database_refuses_to_grant_a_strong_request_without_a_passkey(person):
    request = ask(person, flow_for(person, **STRONG))
    with pytest.raises(IntegrityError), transaction.atomic():
        AccessRequest.objects.update(status=Status.GRANTING, verified_at=timezone.now())
    assert status_of(request) == Status.PENDING_MFA


def test_synced_passkey_does_not_cover_a_device_bound_flow(person):
    flow = flow_for(person, **DEVICE_BOUND)
    for window in (by_code(person), by_passkey(person, is_device_bound=False)):
        assert ask(person, flow, window).status == Status.PENDING_MFA
    assert ask(person, flow, by_passkey(person)).status == Status.GRANTING


def test_each_flow_of_a_selection_gets_the_passkey_it_demands(person):
    """A synced passkey releases what accepts it; the strictest waits for a device-bound one."""
    strong, strictest = (
        ask(person, flow_for(person, **STRONG)),
        ask(person, flow_for(person, **DEVICE_BOUND)),
    )
    assert use_passkey(person, soft_passkey(person, synced=True))[1] == [strong]
    assert status_of(strictest) == Status.PENDING_MFA
    assert use_passkey(person, soft_passkey(person))[1] == [strictest]


@pytest.mark.parametrize(
    ("hours", "sentence"), [(48, "accepted after 48 hours, or"), (1, "accepted after 1 hour, or")]
)
def test_page_says_when_a_new_passkey_is_accepted(person, signed_in, settings, hours, sentence):
    AuthenticatorFactory(user=person)
    ask(person, flow_for(person, **STRONG))
    browser = signed_in(person)
    settings.MFA_NEW_PASSKEY_WAIT = timedelta(hours=hours)
    assert sentence in browser.get("/account/step-up/").content.decode()
    settings.MFA_NEW_PASSKEY_WAIT = timedelta(0)
    page = browser.get("/account/step-up/").content.decode()
    assert "You have no passkey that works here" in page
    assert "A new passkey is accepted" not in page


def test_pages_say_that_a_synced_passkey_does_not_count(person, signed_in):
    soft_passkey(person, synced=True)
    flow, plain = flow_for(person, **DEVICE_BOUND), flow_for(person, **STRONG)
    request = ask(person, flow)
    browser = signed_in(person)
    detail = browser.get(f"/requests/{request.reference}/").content.decode()
    assert "needs=device_bound" in detail
    page = browser.get("/account/step-up/?needs=device_bound").content.decode()
    assert "This flow requires a device-bound passkey" in page
    assert "You have no device-bound passkey that works here" in page
    preview = browser.get(f"/requests/new/?target={flow.targets.get().pk}").content.decode()
    assert "Device-bound passkey required" in preview
    ask(person, plain)
    mixed = browser.get("/account/step-up/?needs=passkey").content.decode()
    assert f"{request.reference}</strong> can only be released with a device-bound passkey" in mixed
    assert mixed.count("Requires a device-bound passkey") == 1


def test_new_device_bound_passkey_waits_too(person):
    flow = flow_for(person, **DEVICE_BOUND)
    assert ask(person, flow, by_passkey(person, **new_passkey())).status == Status.PENDING_MFA


def test_synced_passkey_is_seen_by_activation_approval_and_reveal(person):
    approver = UserFactory()
    flow = flow_for(person, approval="any_of", approver_users=[approver], **DEVICE_BOUND)
    request = ask(person, flow, by_passkey(person))
    synced = by_passkey(approver, is_device_bound=False)
    with pytest.raises(DeviceBoundRequired):
        decide(request, approver, synced)
    assert decide(request, approver, by_passkey(approver)).status == Status.GRANTING
    weak = VerificationFactory(
        user=person, passkey=PasskeyFactory(user=person, is_device_bound=False)
    )
    AccessRequest.objects.update(verification=weak)
    sign(request)  # as somebody who holds the keys could
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_MFA
    grant = active_grant(person, flow, by_passkey(person))
    with pytest.raises(DeviceBoundRequired):
        reveal_credential(actor=person, grant=grant, window=window_of(weak))


@pytest.mark.parametrize("begun", [False, True])
def test_weak_evidence_is_seen_by_every_attempt_at_activation(person, begun):
    flow = flow_for(person, **STRONG)
    request = ask(person, flow, by_passkey(person))
    if begun:
        begin_activation(request_pk=request.pk)
    weak = VerificationFactory(user=person)
    AccessRequest.objects.update(verification=weak)
    sign(request)  # as somebody who holds the keys could
    if begun:
        assert not confirm_activation(grant=request.grants.get())
        assert status_of(request) == Status.FAILED
    else:
        assert begin_activation(request_pk=request.pk).status == Status.PENDING_MFA


@pytest.mark.parametrize("terms", [STRONG, {"require_mfa": True}])
def test_removed_passkey_voids_what_is_not_active_yet(person, terms):
    request = ask(person, flow_for(person, **terms), by_passkey(person))
    AuthenticatorFactory(user=person)
    Passkey.objects.all().delete()
    assert begin_activation(request_pk=request.pk).status == Status.PENDING_MFA


def test_request_cannot_be_made_weaker_in_the_database(person):
    request = ask(person, flow_for(person, **STRONG))
    AccessRequest.objects.update(mfa_strength=Strength.ANY)
    request.refresh_from_db()
    assert not request.is_authentic


@pytest.fixture
def waiting(person):
    """A strong request that waits for an approver's decision."""
    approver = UserFactory()
    flow = flow_for(person, approval="any_of", approver_users=[approver], **STRONG)
    return ask(person, flow, by_passkey(person)), approver


def decide(request, approver, window):
    return decide_request(
        actor=approver,
        request=request,
        verdict=APPROVE,
        reason="",
        fingerprint=request.flow_fingerprint,
        window=window,
    )


def test_approver_needs_a_passkey_too(waiting):
    request, approver = waiting
    with pytest.raises(PasskeyRequired):
        decide(request, approver, by_code(approver))
    assert decide(request, approver, by_passkey(approver)).status == Status.GRANTING


def test_approval_by_code_counts_for_nothing(waiting):
    request, approver = waiting
    DecisionFactory(
        request=request, approver=approver, verification=VerificationFactory(user=approver)
    )
    assert approval_gap(request)


def active_grant(person, flow, window):
    """Active access on a target that does not answer."""
    request = AccessRequestFactory(
        requester=person,
        flow=flow,
        status=Status.ACTIVE,
        verification=Verification.objects.get(pk=window.verification_id),
    )
    return GrantFactory(request=request, login="jit_x", login_mark="1", system_identifier="1")


@pytest.fixture
def active(person):
    return active_grant(person, flow_for(person, max_extensions=2, **STRONG), by_passkey(person))


def test_reveal_and_extension_need_a_passkey(person, active):
    window = by_code(person)
    with pytest.raises(PasskeyRequired):
        reveal_credential(actor=person, grant=active, window=window)
    with pytest.raises(PasskeyRequired):
        extend_access(
            actor=person, request=active.request, used=0, window=window, client_info=SYSTEM
        )


def test_flow_may_ask_for_every_request(person):
    device = AuthenticatorFactory(user=person)
    flow = flow_for(person, **OWN)
    window = by_code(person)
    first, second = ask(person, flow, window), ask(person, flow, window)
    plain = ask(person, flow_for(person, require_mfa=True))
    result, released = enter_code(person, device)
    assert released == [first, plain]
    assert Verification.objects.get(pk=result.verification.pk).used_for == first.reference
    assert status_of(second) == Status.PENDING_MFA
    assert begin_activation(request_pk=first.pk).grants.exists()


def test_page_says_that_one_verification_is_not_enough_for_every_request(person, signed_in):
    soft_passkey(person)
    ask(person, flow_for(person, require_mfa=True))
    browser, exception = signed_in(person), "except where a flow requires"
    plain = browser.get("/account/step-up/").content.decode()
    assert "This releases 1 pending request<" in plain
    assert exception not in plain
    ask(person, flow_for(person, **OWN))
    mixed = browser.get("/account/step-up/").content.decode()
    assert "2 requests waiting for you" in mixed
    assert mixed.count(exception) == 2


def test_reveal_needs_an_open_window_and_no_verification_of_its_own(person):
    """Also where the flow asks for every request: this one had its own. The target does not answer."""
    grant = active_grant(person, flow_for(person, **OWN), by_code(person))
    later = by_code(person)
    with pytest.raises(RequestRefused, match="was not revealed"):
        reveal_credential(actor=person, grant=grant, window=later)
    assert Verification.objects.get(pk=later.verification_id).used_for == ""
    hour_ago = VerificationFactory(user=person, at=timezone.now() - timedelta(hours=1))
    for window in (None, window_of(hour_ago)):
        with pytest.raises(WindowClosed):
            reveal_credential(actor=person, grant=grant, window=window)


def test_verification_of_another_request_does_not_count(person):
    device = AuthenticatorFactory(user=person)
    flow = flow_for(person, **OWN)
    first = ask(person, flow)
    enter_code(person, device)
    first.refresh_from_db()
    second = ask(person, flow)
    AccessRequest.objects.filter(pk=second.pk).update(
        status=Status.GRANTING,
        verification=first.verification,
        verified_at=first.verified_at,
        verified_method="code",
    )
    sign(second)
    assert begin_activation(request_pk=second.pk).status == Status.PENDING_MFA


def test_approver_verifies_for_every_decision(person):
    approver = UserFactory()
    flow = flow_for(person, approval="any_of", approver_users=[approver], **OWN)
    device = AuthenticatorFactory(user=person)
    requests = [ask(person, flow), ask(person, flow)]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for request in requests:
            enter_code(person, device)
            clock.shift(31)
            request.refresh_from_db()
        window = by_code(approver)
        assert decide(requests[0], approver, window).status == Status.GRANTING
        with pytest.raises(OwnVerificationRequired):
            decide(requests[1], approver, window)
