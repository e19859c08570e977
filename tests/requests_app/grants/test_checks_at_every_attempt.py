"""What changes between the intent to grant and an attempt, first or later, is seen by that attempt."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from requests_app.grants.activation import begin_activation
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessRequestFactory,
    set_requesters,
    take_fingerprint,
)
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db


def require_mfa(request: AccessRequest) -> None:
    request.flow.require_mfa = True


def lower_maximum(request: AccessRequest) -> None:
    request.flow.max_duration = request.duration / 2


def deactivate_flow(request: AccessRequest) -> None:
    request.flow.is_active = False


def deactivate_requester(request: AccessRequest) -> None:
    request.requester.is_active = False
    request.requester.save()


def remove_requester(request: AccessRequest) -> None:
    set_requesters(request.flow)


CHANGES = [require_mfa, lower_maximum, deactivate_flow, deactivate_requester, remove_requester]


@pytest.mark.parametrize("tries", [0, 1])
@pytest.mark.parametrize("change", CHANGES)
def test_change_while_no_worker_ran_stops_the_activation(change, tries):
    request = AccessRequestFactory()
    begin_activation(request_pk=request.pk)
    for _ in range(tries):
        settle()
    assert request.grants.get().attempts == tries
    change(request)
    request.flow.save()
    take_fingerprint(request.flow)
    with time_machine.travel(timezone.now() + timedelta(seconds=5), tick=True):
        settle()
    request.refresh_from_db()
    assert request.status in {Status.FAILED, Status.REVOKED, Status.REVOKING}
    assert request.starts_at is None
