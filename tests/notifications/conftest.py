"""Shared by the notification tests: a flow with approvers, and a worker's round."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.core import mail
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.notifications.fan_out import fan_out
from apono_portal.users.models import User
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Delivery
from audit.outbox.deliveries import deliver_due
from mfa.verification.window import Window
from requests_app.approvals.services import decide_request
from requests_app.models import AccessRequest, Decision
from tests.factories import AccessFlowFactory, UserFactory, VerificationFactory, window_of
from tests.fixtures.mail import mail_server  # noqa: F401
from tests.fixtures.posts import inbox  # noqa: F401
from tests.fixtures.submission import submit_request


def run_fan_out() -> int:
    """Do what a worker does between an event and its deliveries."""
    write_checkpoints(timezone.now())
    return fan_out(timezone.now())


def emailed() -> list[tuple[str, str]]:
    """Run the worker, and return (recipient, subject) of all emails so far."""
    run_fan_out()
    deliver_due(timezone.now())
    return [(message.to[0], message.subject.partition(": ")[2]) for message in mail.outbox]


@dataclass
class Desk:
    """A flow with one requester and two approvers, any one of whom may decide."""

    requester: User
    approvers: list[User]
    flow: AccessFlow

    def submit(self, **fields) -> AccessRequest:
        defaults = {
            "actor": self.requester,
            "flow": self.flow,
            "target_ids": [target.pk for target in self.flow.targets.all()],
            "duration": self.flow.max_duration,
            "justification": "Look into the failed import, OPS-1.",
            "window": None,
        }
        return submit_request(**{**defaults, **fields})

    def decide(self, request: AccessRequest, verdict=Decision.Verdict.APPROVE, by=0, **fields):
        return decide_request(
            actor=self.approvers[by],
            request=request,
            verdict=verdict,
            reason="It is what I would do.",
            fingerprint=request.flow_fingerprint,
            **{"window": None, **fields},
        )


@pytest.fixture
def desk(db) -> Desk:
    requester, *approvers = UserFactory.create_batch(3)
    flow = AccessFlowFactory(
        requester_users=[requester],
        approver_users=approvers,
        approval=AccessFlow.Approval.ANY_OF,
        targets=1,
    )
    return Desk(requester, approvers, flow)


@pytest.fixture
def deliveries_to() -> Callable[[User], list[Delivery]]:
    return lambda user: list(Delivery.objects.filter(recipient=user.email).order_by("pk"))


@pytest.fixture
def open_window_of() -> Callable[[User], Window]:
    return lambda user: window_of(VerificationFactory(user=user))
