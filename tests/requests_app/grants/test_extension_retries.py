"""An extension whose target does not answer: retries, and what holds meanwhile."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import Conflict
from requests_app.grants.extension import (
    ATTEMPT_TIMEOUT,
    apply_extension,
    extend_access,
    retry_extensions,
)
from requests_app.grants.revocation import revoke_access
from requests_app.models import Extension, Grant, GrantState, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GrantFactory, UserFactory, sign

pytestmark = pytest.mark.django_db
HALF_AN_HOUR = timedelta(minutes=30)
START = 1_800_000_000


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as travel:
        yield travel


def open_access(**fields):
    """Access that is open on a target that does not answer."""
    requester = UserFactory()
    flow = AccessFlowFactory(
        requester_users=[requester],
        targets=1,
        max_extensions=2,
        extension_duration=HALF_AN_HOUR,
        **fields,
    )
    request = AccessRequestFactory(requester=requester, flow=flow, status=Status.ACTIVE)
    GrantFactory(request=request, login="jit_x", login_mark="1", system_identifier="1")
    return request


def extend(request):
    return extend_access(
        actor=request.requester,
        request=request,
        used=0,
        window=None,
        client_info=ClientInfo("192.0.2.7"),
    )


def metadata_of(event):
    return Event.objects.get(event=event).metadata


def test_a_requested_extension_is_recorded_and_on_the_grant(clock):
    request = open_access()
    extension = extend(request)
    assert extension.state == Extension.State.REQUESTED
    assert (extension.requested_from, extension.number) == ("192.0.2.7", 1)
    assert request.grants.get().extending_to == extension.to_end == request.ends_at + HALF_AN_HOUR
    metadata = metadata_of(EventName.REQUEST_REQUEST_EXTENSION)
    assert (metadata["number"], metadata["of"]) == (1, 2)
    assert "reason" not in metadata


def test_retries_back_off(clock):
    extension = extend(open_access())
    for wait_s in (2, 4, 8, 16, 30, 30, 30):
        assert extension.next_attempt_at - timezone.now() == timedelta(seconds=wait_s)
        attempts = extension.attempts
        clock.shift(wait_s)
        assert retry_extensions(now=timezone.now()) == 1
        extension.refresh_from_db()
        assert extension.attempts == attempts + 1
    assert extension.state == Extension.State.REQUESTED
    assert extension.message


def test_other_extensions_are_not_affected(clock):
    mine, other = open_access(), open_access()
    waits = extend(other)
    before = Extension.objects.filter(pk=waits.pk).values().get()
    clock.shift(1)
    extension = extend(mine)
    retry_extensions(now=extension.next_attempt_at - timedelta(milliseconds=1500))
    revoke_access(actor=mine.requester, request=mine)
    assert apply_extension(extension=extension).state == Extension.State.FAILED
    assert Extension.objects.filter(pk=waits.pk).values().get() == before
    assert other.grants.get().extending_to == waits.to_end


def test_extensions_not_due_or_settled_are_not_retried(clock):
    extension = extend(open_access())
    assert retry_extensions(now=extension.next_attempt_at - timedelta(microseconds=1)) == 0
    Extension.objects.update(state=Extension.State.DONE)
    assert retry_extensions(now=extension.next_attempt_at) == 0
    assert apply_extension(extension=extension).state == Extension.State.DONE


def test_at_most_twenty_are_retried_at_a_time(clock):
    for _ in range(21):
        extend(open_access())
    due = timezone.now() + timedelta(seconds=2)
    assert retry_extensions(now=due) == 20
    assert sorted(Extension.objects.values_list("attempts", flat=True)) == [1] + [2] * 20
    assert retry_extensions(now=due) == 1


def test_settled_extensions_do_not_block_others(clock):
    extension = extend(open_access())
    request = open_access()
    ends = {"from_end": request.ends_at, "to_end": request.ends_at + HALF_AN_HOUR}
    Extension.objects.bulk_create(
        Extension(
            request=request,
            number=number,
            state=Extension.State.FAILED,
            next_attempt_at=timezone.now() - timedelta(hours=1),
            require_mfa=False,
            **ends,
        ).sign()
        for number in range(1, 21)
    )
    assert retry_extensions(now=extension.next_attempt_at) == 1


def test_an_unknown_login_is_retried(clock):
    request = open_access()
    Grant.objects.update(login="", login_mark="", system_identifier="")
    extension = extend(request)
    assert extension.state == Extension.State.REQUESTED
    assert "does not know the login" in extension.message


def test_an_attempt_in_progress_is_not_due(clock):
    extension = extend(open_access())
    Extension.objects.update(next_attempt_at=timezone.now() + ATTEMPT_TIMEOUT)
    assert retry_extensions(now=extension.next_attempt_at) == 0


def test_access_revoked_meanwhile_is_not_extended(clock):
    request = open_access()
    extension = extend(request)
    revoke_access(actor=request.requester, request=request)
    failed = apply_extension(extension=extension)
    assert failed.state == Extension.State.FAILED
    assert "Revoking" in failed.message
    assert failed.settled_at == timezone.now()
    assert request.grants.get().extending_to is None
    assert metadata_of(EventName.REQUEST_REFUSE_EXTENSION)["reason"] == failed.message


def test_an_extension_from_an_outdated_end_fails(clock):
    request = open_access()
    extension = extend(request)
    type(request).objects.update(ends_at=request.ends_at - timedelta(minutes=10))
    assert apply_extension(extension=extension).state == Extension.State.FAILED


@pytest.mark.parametrize(
    ("before_s", "state"), [(1, Extension.State.REQUESTED), (0, Extension.State.FAILED)]
)
def test_at_the_end_it_is_too_late(clock, before_s, state):
    extension = extend(open_access())
    clock.move_to(extension.from_end - timedelta(seconds=before_s))
    assert apply_extension(extension=extension).state == state


def test_a_revoked_grant_fails_the_extension(clock):
    request = open_access()
    extension = extend(request)
    Grant.objects.update(state=GrantState.REVOKING)
    assert "Part of the access" in apply_extension(extension=extension).message


def test_an_outdated_page_extends_nothing(clock):
    request = open_access()
    type(request).objects.update(extensions_used=1)
    sign(request)
    with pytest.raises(Conflict, match="since this page was loaded"):
        extend(request)
    assert not Extension.objects.exists()
