"""The state table and the one function that moves a request."""

from itertools import product

import pytest

from audit.events import EventName
from audit.models import Event
from requests_app.exceptions import Conflict
from requests_app.lifecycle import ALLOWED, lock_with_state, transition, transition_all
from requests_app.models import AccessRequest, Status
from tests.factories import AccessRequestFactory

S = Status
# Exactly what may follow what. Whoever changes the lifecycle changes this by hand as well.
TABLE = {
    (S.PENDING_MFA, S.PENDING_APPROVAL),
    (S.PENDING_MFA, S.GRANTING),
    (S.PENDING_MFA, S.LAPSED),
    (S.PENDING_MFA, S.CANCELLED),
    (S.PENDING_APPROVAL, S.GRANTING),
    (S.PENDING_APPROVAL, S.PENDING_MFA),
    (S.PENDING_APPROVAL, S.REJECTED),
    (S.PENDING_APPROVAL, S.LAPSED),
    (S.PENDING_APPROVAL, S.CANCELLED),
    (S.GRANTING, S.ACTIVE),
    (S.GRANTING, S.REVOKING),
    (S.GRANTING, S.PENDING_MFA),
    (S.GRANTING, S.PENDING_APPROVAL),
    (S.GRANTING, S.FAILED),
    (S.GRANTING, S.CANCELLED),
    (S.ACTIVE, S.REVOKING),
    (S.REVOKING, S.EXPIRED),
    (S.REVOKING, S.REVOKED),
}
FINAL = {S.EXPIRED, S.REVOKED, S.REJECTED, S.LAPSED, S.CANCELLED, S.FAILED}
EVERY_PAIR = list(product(Status, Status))


def move(request, to):
    return transition(request, to=to, event=EventName.REQUEST_CANCEL, actor=None)


def test_the_allowed_transitions_are_exactly_these():
    assert {(a, b) for a, following in ALLOWED.items() for b in following} == TABLE
    assert set(ALLOWED) == set(Status)


@pytest.mark.django_db
@pytest.mark.parametrize(("came_from", "to"), EVERY_PAIR, ids=lambda status: status.value)
def test_only_allowed_transitions_happen(came_from, to):
    request = AccessRequestFactory(status=came_from)
    AccessRequest.objects.update(ends_at=request.created_at)
    if (came_from, to) in TABLE:
        move(request, to)
    else:
        with pytest.raises(Conflict):
            move(request, to)
    stands_at = AccessRequest.objects.get().status
    assert stands_at == (to if (came_from, to) in TABLE else came_from)


@pytest.mark.django_db
@pytest.mark.parametrize(("came_from", "to"), sorted(TABLE))
def test_a_final_status_has_its_time(came_from, to):
    request = AccessRequestFactory(status=came_from)
    AccessRequest.objects.update(ends_at=request.created_at)
    move(request, to)
    stored = AccessRequest.objects.get()
    assert stored.ended_at == (stored.status_changed_at if to in FINAL else None)


@pytest.mark.django_db
def test_a_conflict_names_who_acted_first(member_user):
    request = AccessRequestFactory(status=S.PENDING_APPROVAL)
    stale = AccessRequest.objects.get()
    transition(request, to=S.REJECTED, event=EventName.REQUEST_REJECT, actor=member_user)
    with pytest.raises(Conflict, match=r"AR-\d+ has been Rejected since .* \(Max Member"):
        move(stale, S.GRANTING)
    assert AccessRequest.objects.get().status == S.REJECTED


@pytest.mark.django_db
def test_a_transition_is_recorded_with_both_statuses():
    move(AccessRequestFactory(status=S.PENDING_MFA), S.CANCELLED)
    event = Event.objects.get(event=EventName.REQUEST_CANCEL)
    assert (event.metadata["from"], event.metadata["to"]) == ("pending_mfa", "cancelled")


@pytest.mark.django_db
def test_several_requests_change_together_or_not_at_all():
    first, second = (AccessRequestFactory(status=S.ACTIVE) for _ in range(2))
    AccessRequest.objects.filter(pk=second.pk).update(status=S.REVOKING)
    with pytest.raises(Conflict):
        transition_all(
            [first, second], to=S.REVOKING, event=EventName.REQUEST_BEGIN_REVOCATION, actor=None
        )
    assert Event.objects.filter(event=EventName.REQUEST_BEGIN_REVOCATION).count() == 0


@pytest.mark.django_db
def test_a_request_of_a_deleted_user_has_no_mfa_state():
    request = AccessRequestFactory()
    AccessRequest.objects.update(requester=None)
    assert lock_with_state(request.pk) == (request, None)
