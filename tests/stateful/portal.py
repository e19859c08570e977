"""The portal that random actions are done on, and what picks users, flows and requests."""

from datetime import UTC, datetime, timedelta

import time_machine
from django.db import transaction
from django.utils import timezone
from hypothesis.stateful import RuleBasedStateMachine

from accessflows.connectors.protocol import GrantSpec
from requests_app.models import AccessRequest, Grant
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
    take_fingerprint,
)
from tests.stateful import target as honest
from tests.stateful.truth import EXTENSION, OVER, ExpectedRequest, Flow, Person

START = datetime(2030, 1, 7, 9, tzinfo=UTC)
RETRY = timedelta(seconds=61)  # the longest a worker waits before it asks a target again


class Portal(RuleBasedStateMachine):
    """Three users, three flows, one target, and what is expected of every request."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.clock = time_machine.travel(START, tick=False)
        self.coordinates = self.clock.start()
        self.latest = START  # that the clock has shown
        self.target = honest.begin_anew(self.witness_activation, self.witness_extension)
        self.seen_event = 0
        self.healthy_from = START  # from when on the worker keeps nobody waiting for a retry
        self.expected: dict[int, ExpectedRequest] = {}
        self.broken: list[str] = []
        self.admin = UserFactory(admin=True)
        self.people = {user.pk: Person(user) for user in UserFactory.create_batch(3)}
        for person in self.people.values():
            person.authenticator = AuthenticatorFactory(user=person.user)
        kinds = [(True, True), (True, False), (False, True)]
        self.flows = [self._make_flow(mfa, approval) for mfa, approval in kinds]

    def _make_flow(self, mfa: bool, approval: bool) -> Flow:
        everybody = [person.user for person in self.people.values()]
        integration = IntegrationFactory(system_identifier=honest.SYSTEM)
        row = AccessFlowFactory(
            requester_users=everybody,
            approver_users=everybody[1:],
            max_duration=timedelta(hours=2),
            require_mfa=mfa,
            approval="any_of" if approval else "automatic",
            max_extensions=1,
            extension_duration=EXTENSION,
        )
        row.targets.create(
            resource=ResourceFactory(integration=integration),
            permission=PermissionFactory(integration=integration),
        )
        take_fingerprint(row)
        requesters = {user.pk for user in everybody}
        return Flow(row, requesters, {user.pk for user in everybody[1:]}, mfa, approval)

    def person(self, which: int) -> Person:
        people = list(self.people.values())
        return people[which % len(people)]

    def flow(self, which: int) -> Flow:
        return self.flows[which % len(self.flows)]

    def request(self, which: int, status: str = "") -> AccessRequest:
        """One of those that stand there, else one that is not over, else any."""
        there = [pk for pk, expected in self.expected.items() if expected.status == status]
        going_on = [pk for pk, expected in self.expected.items() if expected.status not in OVER]
        pks = there or going_on or list(self.expected)
        return AccessRequest.objects.get(pk=pks[which % len(pks)])

    def shift_clock(self, seconds: float) -> None:
        """Move the clock, also back. Retries are scheduled by what it has shown before."""
        self.coordinates.shift(timedelta(seconds=seconds))
        if seconds < 0:
            self.healthy_from = max(self.healthy_from, self.latest + RETRY)
        self.latest = max(self.latest, timezone.now())

    # --- What the target witnesses ----------------------------------------------------------------
    # An exception here would be taken for trouble with the target.
    def witness_activation(self, spec: GrantSpec) -> None:
        """Check the first promise at the moment the target is asked to create a login."""
        grant = Grant.objects.select_related("request").get(pk=spec.grant_id)
        expected = self.expected[grant.request_id]
        why = expected.activation_obstacle(self.people)
        first = expected.deadlines.setdefault(grant.pk, spec.deadline)
        if spec.deadline != first:
            why = "its deadline has moved"
        if spec.deadline > self.latest + expected.duration:
            why = "it would last longer than requested"
        if why:
            self.broken.append(f"{grant.request.reference} is being activated although {why}")

    def witness_extension(self, spec: GrantSpec) -> None:
        """The same for its end: moved once, for its owner, by what the flow permits."""
        grant = Grant.objects.select_related("request").get(pk=spec.grant_id)
        expected = self.expected[grant.request_id]
        why = expected.extension_obstacle(self.people)
        if spec.deadline != expected.deadlines[grant.pk] + EXTENSION:
            why = "it would end at another time than requested"
        if why:
            self.broken.append(f"{grant.request.reference} is being extended although {why}")
