"""What tests of requests share: open windows, a flow on a real target, a worker that finishes."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.utils import timezone

from accessflows.models import AccessFlow, Integration
from apono_portal.users.models import User
from mfa.verification.window import Window
from requests_app.models import AccessRequest, Grant
from tests.factories import (
    AccessFlowFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
    VerificationFactory,
    take_fingerprint,
    window_of,
)
from tests.fixtures.postgres import (  # noqa: F401
    PgTarget,
    pg_target,
    pg_version,
    provisioned_server,
    start_postgres,
)
from tests.fixtures.worker import sweep

WORKER = "worker-of-the-tests"


@pytest.fixture
def open_window_of() -> Callable[[User], Window]:
    """``open_window_of(user)``: the person has MFA and has just entered a right code."""
    return lambda user: window_of(VerificationFactory(user=user))


def settle(limit: int = 20) -> None:
    """Sweep until nothing is left to do now."""
    for _ in range(limit):
        if not sweep(WORKER, timezone.now()):
            return
    raise AssertionError("The worker does not come to rest.")


@dataclass
class RealFlow:
    """A flow that gives orders_read on the database orders of a real server."""

    pg: PgTarget
    requester: User
    integration: Integration
    flow: AccessFlow

    def request(self, **fields) -> AccessRequest:
        from tests.factories import AccessRequestFactory

        return AccessRequestFactory(requester=self.requester, flow=self.flow, **fields)

    def active_grant(self, **fields) -> Grant:
        request = self.request(**fields)
        settle()
        return request.grants.get()


@pytest.fixture
def real_flow(db, pg_target: PgTarget) -> RealFlow:  # noqa: F811
    target = pg_target.target
    integration = IntegrationFactory(
        host=target.host,
        port=target.port,
        settings=target.settings.as_dict(),
        broker=target.user,
        password=target.password,
        sslmode=target.sslmode,
    )
    requester = UserFactory()
    flow = AccessFlowFactory(requester_users=[requester])
    flow.targets.create(
        resource=ResourceFactory(integration=integration, name="orders"),
        permission=PermissionFactory(integration=integration, name="orders_read"),
    )
    take_fingerprint(flow)
    return RealFlow(pg_target, requester, integration, flow)
