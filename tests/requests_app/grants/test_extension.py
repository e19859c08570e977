"""More time for open access: on the real target, as often as the flow says, with fresh evidence."""

from datetime import timedelta

import psycopg
import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from mfa.exceptions import WindowClosed
from mfa.verification.locking import advance_epoch
from requests_app.drift.scan import due_for_scan, scan_target
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access, retry_extensions
from requests_app.grants.reminders import reminder_time
from requests_app.grants.revocation import expire_due, revoke_access
from requests_app.models import AccessRequest, Drift, Extension, Grant, GrantState, Status
from tests.factories import (
    UserFactory,
    VerificationFactory,
    set_requesters,
    sign,
    take_fingerprint,
    window_of,
)
from tests.requests_app.conftest import WORKER, settle

pytestmark = [pytest.mark.target, pytest.mark.django_db]
HALF_AN_HOUR = timedelta(minutes=30)


@pytest.fixture
def flow(real_flow):
    """Two extensions of half an hour."""
    change(real_flow, max_extensions=2, extension_duration=HALF_AN_HOUR)
    return real_flow


def change(real_flow, **fields):
    if fields:
        type(real_flow.flow).objects.filter(pk=real_flow.flow.pk).update(**fields)
    real_flow.flow.refresh_from_db()
    take_fingerprint(real_flow.flow)


def extend(request, *, actor=None, window=None):
    """From a page that was drawn just now."""
    used = type(request).objects.get(pk=request.pk).extensions_used
    actor = actor or request.requester
    return extend_access(actor=actor, request=request, used=used, window=window)


def valid_until(flow, grant):
    rows = flow.pg.ask("SELECT rolvaliduntil FROM pg_roles WHERE rolname = %s", [grant.login])
    return rows[0][0] if rows else None


def hide_target(flow, request):
    """The server does not answer; the request knows no other address of it."""
    type(flow.integration).objects.update(port=1)
    change(flow)
    type(request).objects.update(flow_fingerprint=flow.flow.fingerprint)
    sign(request)


def show_target(flow, request):
    type(flow.integration).objects.update(port=flow.pg.target.port)
    change(flow)
    type(request).objects.update(flow_fingerprint=flow.flow.fingerprint)
    sign(request)


def after(grant):
    grant.refresh_from_db()
    grant.request.refresh_from_db()
    return grant.request


def test_the_end_moves_on_the_target_and_in_the_portal(flow):
    grant = flow.active_grant()
    end = grant.deadline
    assert extend(grant.request).state == Extension.State.DONE
    request = after(grant)
    assert request.ends_at == grant.deadline == end + HALF_AN_HOUR
    assert end < valid_until(flow, grant) == grant.enforced_until <= grant.deadline
    assert (request.extensions_used, request.remind_at > end) == (1, True)
    assert Event.objects.filter(event=EventName.REQUEST_EXTEND).count() == 1


def test_an_open_session_and_its_password_work_past_the_first_end(flow):
    grant = flow.active_grant()
    credential = reveal_credential(actor=flow.requester, grant=grant, window=None)
    with flow.pg.log_in(credential) as session:
        end = grant.deadline
        extend(grant.request)
        assert expire_due(now=end + timedelta(minutes=1)) == 0
        assert session.execute("SELECT 1").fetchone() == (1,)
        flow.pg.log_in(credential).close()
        with time_machine.travel(end + HALF_AN_HOUR + timedelta(seconds=1), tick=True):
            settle()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
    assert after(grant).status == Status.EXPIRED


def test_extensions_are_limited_by_the_flow(flow):
    grant = flow.active_grant()
    end = grant.deadline
    extend(grant.request)
    extend(grant.request)
    with pytest.raises(RequestRefused, match="no extensions left"):
        extend(grant.request)
    assert after(grant).ends_at == end + 2 * HALF_AN_HOUR


def test_a_flow_without_extensions_refuses(real_flow):
    grant = real_flow.active_grant()
    with pytest.raises(RequestRefused, match="allows no extension"):
        extend(grant.request)


@pytest.mark.parametrize("role", ["admin", "member"])
def test_only_the_requester_extends(flow, role):
    grant = flow.active_grant()
    with pytest.raises(RequestRefused, match="Only the requester"):
        extend(grant.request, actor=UserFactory(role=role))
    assert not Extension.objects.exists()


def test_protected_access_requires_fresh_evidence_and_stores_it(flow):
    change(flow, require_mfa=True)
    grant = flow.active_grant()
    with pytest.raises(WindowClosed):
        extend(grant.request)
    with time_machine.travel(timezone.now() - timedelta(minutes=61)):
        old = window_of(VerificationFactory(user=flow.requester))
    with pytest.raises(WindowClosed):
        extend(grant.request, window=old)
    fresh = VerificationFactory(user=flow.requester)
    extension = extend(grant.request, window=window_of(fresh))
    assert (extension.verification, extension.verified_at) == (fresh, fresh.at)
    metadata = Event.objects.get(event=EventName.REQUEST_EXTEND).metadata
    assert metadata["verification"] == fresh.pk


def test_a_reset_before_the_target_answers_extends_nothing(flow):
    change(flow, require_mfa=True)
    grant = flow.active_grant()
    end = grant.deadline
    hide_target(flow, grant.request)
    window = window_of(VerificationFactory(user=flow.requester))
    assert extend(grant.request, window=window).state == Extension.State.REQUESTED
    advance_epoch(user=flow.requester)
    show_target(flow, grant.request)
    retry_extensions(now=timezone.now() + timedelta(minutes=1))
    assert Extension.objects.get().state == Extension.State.FAILED
    assert after(grant).ends_at == end
    assert valid_until(flow, grant) <= end


@pytest.mark.parametrize("loses", ["no requester", "flow changed", "approver left"])
def test_eligibility_lost_before_the_target_answers_extends_nothing(flow, loses):
    grant = flow.active_grant()
    end = grant.deadline
    hide_target(flow, grant.request)
    assert extend(grant.request).state == Extension.State.REQUESTED
    show_target(flow, grant.request)
    {
        "no requester": lambda: set_requesters(flow.flow),
        "flow changed": lambda: type(flow.flow).objects.update(max_extensions=1),
        "approver left": lambda: _approved_by_somebody_gone(flow, grant.request),
    }[loses]()
    retry_extensions(now=timezone.now() + timedelta(minutes=1))
    assert Extension.objects.get().state == Extension.State.FAILED
    assert valid_until(flow, grant) <= after(grant).ends_at == end


@pytest.mark.parametrize(
    "loses", ["flow changed", "flow off", "no requester", "approver left", "closed hours"]
)
def test_eligibility_is_checked_again(flow, loses):
    grant = flow.active_grant()
    request = grant.request
    today = timezone.now().weekday()
    rows = type(flow.flow).objects.filter(pk=flow.flow.pk)
    {
        "flow changed": lambda: rows.update(max_duration=timedelta(hours=9)),
        "flow off": lambda: rows.update(is_active=False),
        "no requester": lambda: set_requesters(flow.flow),
        "approver left": lambda: _approved_by_somebody_gone(flow, request),
        "closed hours": lambda: rows.update(
            available_days=[(today + 3) % 7],
            available_from="01:00",
            available_until="02:00",
            available_zone="UTC",
        ),
    }[loses]()
    with pytest.raises(RequestRefused):
        extend(request)
    assert not Extension.objects.exists()


def _approved_by_somebody_gone(flow, request):
    change(flow, approval="any_of")
    type(request).objects.update(
        flow_fingerprint=flow.flow.fingerprint, approval=flow.flow.approval
    )


def test_just_before_the_end_it_is_too_late(flow):
    grant = flow.active_grant()
    with (
        time_machine.travel(grant.deadline - timedelta(seconds=20), tick=False),
        pytest.raises(Conflict, match="too soon to be extended"),
    ):
        extend(grant.request)


def test_access_in_revocation_is_not_extended(flow):
    grant = flow.active_grant()
    revoke_access(actor=flow.requester, request=grant.request)
    with pytest.raises(Conflict, match="has been Revoking"):
        extend(grant.request)


def test_a_contained_login_is_not_revived(flow):
    grant = flow.active_grant()
    credential = reveal_credential(actor=flow.requester, grant=grant, window=None)
    flow.pg.ask(f"ALTER ROLE {grant.login} NOLOGIN PASSWORD NULL VALID UNTIL '1970-01-01 00:00Z'")
    end = grant.deadline
    with pytest.raises(Conflict, match="was revoked on the target"):
        extend(grant.request)
    assert after(grant).ends_at == end
    with pytest.raises(psycopg.OperationalError):
        flow.pg.log_in(credential)


def test_an_end_shortened_on_the_target_stays(flow):
    grant = flow.active_grant()
    sooner = timezone.now() + timedelta(minutes=5)
    flow.pg.ask(f"ALTER ROLE {grant.login} VALID UNTIL '{sooner.isoformat()}'")
    with pytest.raises(Conflict, match="shortened"):
        extend(grant.request)
    assert valid_until(flow, grant) == sooner


def test_a_silent_target_is_retried_until_the_end(flow):
    grant = flow.active_grant()
    end = grant.deadline
    hide_target(flow, grant.request)
    assert extend(grant.request).state == Extension.State.REQUESTED
    assert after(grant).ends_at == end
    with pytest.raises(Conflict, match="already being extended"):
        extend(grant.request)
    show_target(flow, grant.request)
    assert retry_extensions(now=timezone.now() + timedelta(minutes=1)) == 1
    assert after(grant).ends_at == end + HALF_AN_HOUR
    assert retry_extensions(now=timezone.now() + timedelta(minutes=1)) == 0


def test_an_answer_after_the_end_extends_nothing(flow):
    grant = flow.active_grant()
    end = grant.deadline
    hide_target(flow, grant.request)
    extend(grant.request)
    show_target(flow, grant.request)
    expire_due(now=end)
    retry_extensions(now=timezone.now() + timedelta(minutes=1))
    assert Extension.objects.get().state == Extension.State.FAILED
    assert after(grant).status == Status.REVOKING
    settle()
    assert valid_until(flow, grant) is None


def test_two_overlapping_requests_leave_each_others_ends_alone(flow):
    first, second = flow.active_grant(), flow.active_grant(duration=timedelta(hours=2))
    ends = valid_until(flow, first), second.deadline
    extend(second.request)
    first_ends_at = after(first).ends_at
    assert (valid_until(flow, first), first.deadline) == (ends[0], first_ends_at)
    assert after(second).ends_at == ends[1] + HALF_AN_HOUR
    revoke_access(actor=flow.requester, request=first.request)
    settle()
    assert valid_until(flow, first) is None
    assert valid_until(flow, second) is not None
    assert after(second).status == Status.ACTIVE


def test_of_two_with_the_same_end_only_one_is_extended(flow):
    first, second = flow.active_grant(), flow.active_grant()
    together = first.deadline
    for model, field in ((Grant, "deadline"), (AccessRequest, "ends_at")):
        model.objects.update(**{field: together})
    sign(first, first.request, second, second.request)
    extend(second.request)
    later, earlier = after(second), after(first)
    assert (first.deadline, earlier.ends_at) == (together, together)
    assert (second.deadline, later.ends_at) == (together + HALF_AN_HOUR,) * 2
    assert later.remind_at == reminder_time(later.starts_at, later.ends_at)


@pytest.mark.parametrize("step", ["extended", "between target and portal"])
def test_an_extension_in_progress_is_no_drift(flow, step):
    grant = flow.active_grant()
    extend(grant.request)
    if step != "extended":
        before = grant.deadline
        Grant.objects.update(deadline=before, extending_to=before + HALF_AN_HOUR)
    with time_machine.travel(timezone.now() + timedelta(seconds=3), tick=True):
        for pk in due_for_scan(timezone.now(), all_targets=True):
            scan_target(pk, WORKER)
    assert not Drift.objects.exists()
    marker = flow.pg.ask(
        "SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s",
        [grant.login],
    )[0][0]
    assert (grant.deadline + HALF_AN_HOUR).isoformat()[:16] in marker


def test_a_target_moved_by_a_failed_extension_is_drift(flow):
    grant = flow.active_grant()
    extension = extend(grant.request)
    later = {"deadline": extension.from_end, "extending_to": extension.to_end}
    Grant.objects.update(
        **later
    )  # as a worker leaves it that stopped before the portal's end moved
    type(grant.request).objects.update(ends_at=extension.from_end)
    sign(grant, grant.request)
    Extension.objects.update(state=Extension.State.REQUESTED, next_attempt_at=timezone.now())
    set_requesters(flow.flow)
    retry_extensions(now=timezone.now())
    with time_machine.travel(timezone.now() + timedelta(seconds=3), tick=True):
        for pk in due_for_scan(timezone.now(), all_targets=True):
            scan_target(pk, WORKER)
    assert [drift.kind for drift in Drift.objects.all()] == [Drift.Kind.DEADLINE]


def test_the_page_extends_and_shows_the_new_end(flow, signed_in):
    grant = flow.active_grant()
    client = signed_in(flow.requester)
    page = reverse("requests:detail", args=[grant.request_id])
    assert "Extend 30 min" in client.get(page).content.decode()
    address = reverse("requests:extend", args=[grant.request_id])
    assert client.get(address).status_code == 405
    html = client.post(address, {"used": "0"}, follow=True).content.decode()
    assert "1 of 2 left, 30 min each" in html
    assert "extension 1 of 2" in html


@pytest.mark.parametrize("used", ["0", "", "x", "-1"])
def test_a_second_click_on_the_same_page_does_not_extend_twice(flow, signed_in, used):
    grant = flow.active_grant()
    extend(grant.request)
    address = reverse("requests:extend", args=[grant.request_id])
    answer = signed_in(flow.requester).post(address, {"used": used})
    assert answer.status_code == 409
    assert after(grant).extensions_used == 1


def test_the_page_redirects_to_verification_first(flow, signed_in):
    change(flow, require_mfa=True)
    grant = flow.active_grant()
    address = reverse("requests:extend", args=[grant.request_id])
    answer = signed_in(flow.requester).post(address, {"used": "0"})
    assert answer.headers["Location"].startswith(reverse("requests:step_up"))
    assert not Extension.objects.exists()


def test_others_cannot_see_the_extension_page(flow, signed_in):
    grant = flow.active_grant()
    address = reverse("requests:extend", args=[grant.request_id])
    assert signed_in(UserFactory()).post(address).status_code == 404
    assert signed_in(UserFactory(admin=True)).post(address, {"used": "0"}).status_code == 409
    assert after(grant).extensions_used == 0
    assert grant.state == GrantState.ACTIVE
