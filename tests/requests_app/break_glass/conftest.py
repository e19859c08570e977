"""A flow for emergencies, and access that was taken through it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from requests_app.models import AccessRequest, Status
from tests.factories import AccessFlowFactory, AccessRequestFactory, GrantFactory, UserFactory

REASON = "Order intake stopped, the queue table is locked. INC-733."


def emergency_flow(*requesters, **fields):
    return AccessFlowFactory(
        requester_users=requesters,
        require_mfa=True,
        break_glass=True,
        targets=1,
        **fields,
    )


def taken(flow, requester, *, status=Status.REVOKED) -> AccessRequest:
    """Break-glass access that was active, and has ended unless ``status`` says otherwise."""
    now = timezone.now()
    is_over = status not in {Status.GRANTING, Status.ACTIVE}
    return AccessRequestFactory(
        requester=requester,
        flow=flow,
        status=status,
        justification=REASON,
        starts_at=now - timedelta(minutes=50) if status != Status.GRANTING else None,
        ends_at=now + timedelta(minutes=10) if status != Status.GRANTING else None,
        ended_at=now - timedelta(minutes=3) if is_over else None,
    )


@pytest.fixture
def requester(db):
    return UserFactory(name="Jonas Keller")


@pytest.fixture
def flow(requester):
    return emergency_flow(requester)


@pytest.fixture
def used(flow, requester) -> AccessRequest:
    return taken(flow, requester)


@pytest.fixture
def active(flow, requester) -> AccessRequest:
    request = taken(flow, requester, status=Status.ACTIVE)
    GrantFactory(request=request)
    return request
