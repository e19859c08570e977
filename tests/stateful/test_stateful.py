"""Random actions on random requests, against the two promises and the allowed transitions.

Each step is one action of a user, an admin, a worker, a target or the clock. After each, the portal and
the target are compared with `tests.stateful.truth`.

RUNS=2000 make stateful   runs many, each time others; the suite runs some, the same every time
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from accessflows.connectors import registry
from accessflows.connectors.protocol import GrantSpec
from accessflows.exceptions import InvalidInput
from accessflows.flows.services import change_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM
from apono_portal.notifications.fan_out import fan_out
from apono_portal.users.services import deactivate_user, reactivate_user, reset_mfa_of_user
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Event
from mfa.exceptions import WindowClosed
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.models import AccessRequest, Decision, Grant, GrantState
from requests_app.submission.step_up import step_up
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
    code_for,
    fresh_window,
    take_fingerprint,
)
from tests.fixtures.submission import submit_request
from tests.fixtures.worker import sweep
from tests.requests_app.conftest import window_of
from tests.stateful import target as honest
from tests.stateful.target import Killed, Mood
from tests.stateful.truth import (
    OVER,
    PROTECTED_NEEDS_PROOF,
    TABLE,
    ExpectedRequest,
    Flow,
    Person,
    Proof,
)

START = datetime(2030, 1, 7, 9, tzinfo=UTC)
WORKER = "worker-of-the-lives"
RETRY = timedelta(seconds=61)  # the longest a worker waits before it asks a target again
ACTIONS = (
    *["go through"] * 6,
    *["submit"] * 2,
    *["disrupt that"] * 3,
    *["work"] * 2,
    *["code", "decide", "time", "end", "reveal", "disrupt", "mood", "die", "calm", "set up"],
)
OF_REQUESTS = {"go through", "decide", "end", "reveal", "disrupt that"}
MAX_PENDING_MFA = 20  # of one person
CODES = ("right", "right", "wrong", "used", "other's")
MINUTES = (30, 120, 1, 121)
SECONDS = (31, 600, 1800, 3599, 61, 3601, 1, 25 * 3600)
MOODS = (Mood.UP, Mood.DOWN, Mood.UP, Mood.LOSES_ANSWERS)
DISRUPTIONS = ("mfa", "approval", "requester", "approver", "off", "reset", "reset and end", "leave")
REFUSALS = (RequestRefused, Conflict, WindowClosed)


class RequestActions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.clock = time_machine.travel(START, tick=False)
        self.coordinates = self.clock.start()
        self.target = honest.begin_anew(self.witness_activation)
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
        )
        row.targets.create(
            resource=ResourceFactory(integration=integration),
            permission=PermissionFactory(integration=integration),
        )
        take_fingerprint(row)
        requesters = {user.pk for user in everybody}
        return Flow(row, requesters, {user.pk for user in everybody[1:]}, mfa, approval)

    # One rule of one number, not one for each action: hypothesis leaves whole rules out of an example
    # and likes to repeat what it drew, and a life in which nobody asks, say, shows nothing.
    @rule(luck=st.integers(0, 2**32 - 1))
    def act(self, luck: int) -> None:
        draw = Random(luck)
        action, (who, which, n) = draw.choice(ACTIONS), draw.choices(range(12), k=3)
        note(f"{action}: who {who}, which {which}, n {n}")
        self.do(action, who, which, n)

    def do(self, action: str, who: int, which: int, n: int) -> None:
        if action in OF_REQUESTS and not self.expected:
            action = "submit"
        odd = bool(n % 2)
        {
            "set up": lambda: self.set_up_mfa(who),
            "code": lambda: self.enter_code(who, CODES[n % len(CODES)]),
            "submit": lambda: self.submit(who, which, MINUTES[n % len(MINUTES)]),
            "decide": lambda: self.decide(
                who, which, "reject" if n % 4 == 3 else "approve", proves=odd
            ),
            "end": lambda: self.end(who, which, by_admin=odd),
            "reveal": lambda: self.reveal_and_sign_in(who, which, proves=odd),
            "go through": lambda: self.go_through_with_it(
                which, who, proves=n % 4 > 0, works=n % 3 > 0, enters=odd
            ),
            "disrupt": lambda: self.disrupt(DISRUPTIONS[n % len(DISRUPTIONS)], which, who),
            "disrupt that": lambda: self.disrupt_an_activation(
                DISRUPTIONS[n % len(DISRUPTIONS)], which, works=who % 4 > 0
            ),
            "time": lambda: self.pass_time(SECONDS[n % len(SECONDS)]),
            "mood": lambda: self.target_becomes(MOODS[n % len(MOODS)]),
            "work": self.work,
            "die": lambda: self.work_and_die(1 + which % 6, after=odd),
            "calm": self.calm,
        }[action]()

    # --- Picking --------------------------------------------------------------------------------
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

    # --- People ---------------------------------------------------------------------------------
    def set_up_mfa(self, who: int) -> None:
        person = self.person(who)
        if person.authenticator is None and person.is_active:
            person.authenticator = AuthenticatorFactory(user=person.user)

    def enter_code(self, who: int, kind: str) -> None:
        person = self.person(who)
        if not person.is_active:
            return
        if kind == "right":
            self.coordinates.shift(timedelta(seconds=31))  # the app shows the next code
        right = code_for(person.authenticator) if person.authenticator else None
        typed = self._typed(person, kind, right)
        result, released = step_up(
            user=person.user, code=typed, scope=ThrottleScope(session_ref="s")
        )
        if result.verification is None or result.outcome != "ok":
            assert released == []
            return
        assert typed == right, f"A code that is {kind} was taken"
        assert typed != person.last_code, "A code was taken twice"
        person.last_code = typed
        person.proof = Proof(timezone.now(), person.generation)
        person.window = window_of(result.verification)
        for request in released:
            assert request.requester_id == person.user.pk
            self.expected[request.pk].proof = person.proof

    def _typed(self, person: Person, kind: str, right: str | None) -> str:
        if kind == "used":
            return person.last_code
        if kind == "other's":
            others = [each.authenticator for each in self.people.values() if each is not person]
            return next((code_for(each) for each in others if each), "123456")
        if kind == "right" and right:
            return right
        return f"{(int(right or 0) + 1) % 1_000_000:06d}"

    def submit(self, who: int, which: int, minutes: int) -> None:
        person, flow = self.person(who), self.flow(which)
        may = person.is_active and flow.is_active and person.user.pk in flow.requesters
        try:
            request = submit_request(
                actor=person.user,
                flow=flow.row,
                target_ids=list(flow.row.targets.values_list("pk", flat=True)),
                duration=timedelta(minutes=minutes),
                justification="Look into the failed import, OPS-1.",
                window=person.window,
            )
        except RequestRefused:
            pending_mfa = [each for each in self.expected.values() if each.status == "pending_mfa"]
            full = sum(each.person is person for each in pending_mfa) >= MAX_PENDING_MFA
            assert not may or minutes > 120 or full
            return
        assert may
        assert minutes <= 120
        proven = person.has_open_window(timezone.now())
        expected = ExpectedRequest(
            person,
            flow,
            flow.version,
            flow.require_mfa,
            flow.needs_approval,
            request.duration,
            request.status,
            person.proof if proven else None,
        )
        self.expected[request.pk] = expected
        pending_mfa = flow.require_mfa and not proven
        after = "pending_approval" if flow.needs_approval else "granting"
        assert request.status == ("pending_mfa" if pending_mfa else after)

    def decide(self, who: int, which: int, verdict: str, proves: bool) -> None:
        if proves:
            self.enter_code(who, "right")
        person, request = self.person(who), self.request(which, "pending_approval")
        expected = self.expected[request.pk]
        try:
            decide_request(
                actor=person.user,
                request=request,
                verdict=Decision.Verdict(verdict),
                reason="It is what I would do.",
                fingerprint=request.flow_fingerprint,
                window=person.window,
            )
        except REFUSALS:
            return
        assert person is not expected.person, "Somebody decided on an own request"
        assert person.is_active
        assert person.user.pk in expected.flow.approvers
        if expected.require_mfa:
            assert person.has_open_window(timezone.now()), "Decided without a fresh code"
        if verdict == "approve":
            expected.approved_by[person.user.pk] = person.generation

    def end(self, who: int, which: int, by_admin: bool) -> None:
        person, request = self.person(who), self.request(which)
        actor = self.admin if by_admin else person.user
        service: Callable[..., Any] = revoke_access if request.is_live else cancel_request
        try:
            service(actor=actor, request=request)
        except REFUSALS:
            return
        assert by_admin or person is self.expected[request.pk].person

    def reveal_and_sign_in(self, who: int, which: int, proves: bool) -> None:
        person, request = self.person(who), self.request(which, "active")
        if proves:
            self.enter_code(who, "right")
        grant = Grant.objects.filter(request=request).first()
        if grant is None:
            return
        expected = self.expected[request.pk]
        try:
            credential = reveal_credential(actor=person.user, grant=grant, window=person.window)
        except REFUSALS:
            return
        assert person is expected.person
        assert timezone.now() < grant.deadline
        if expected.require_mfa:
            assert person.has_open_window(timezone.now()), "A credential without a fresh code"
        assert self.target.sign_in(credential)

    def go_through_with_it(
        self, which: int, who: int, proves: bool, works: bool, enters: bool
    ) -> None:
        """Do what a request waits for: its owner's code, another's approval, the worker's turn."""
        request = self.request(which, "pending_mfa")
        owner = self.expected[request.pk].person
        others = [n for n, each in enumerate(self.people.values()) if each is not owner]
        if self.expected[request.pk].status == "pending_mfa":
            self.enter_code(list(self.people.values()).index(owner), "right")
        self.every_status_came_by_the_table()
        self.decide(others[who % len(others)], which, "approve", proves=proves)
        if works:
            self.work()
        if works and enters:
            self.every_status_came_by_the_table()
            owners = [each.person for each in self.expected.values() if each.status == "active"]
            for person in owners[:1]:
                self.reveal_and_sign_in(list(self.people.values()).index(person), 0, proves=True)

    # --- Admins ---------------------------------------------------------------------------------
    def disrupt(self, what: str, which: int, who: int) -> None:
        """One of what seldom happens and shakes what stands."""
        if what.startswith("reset"):
            self.reset(who, ends="end" in what)
        elif what == "leave":
            self.leave_or_come_back(who)
        else:
            self.change(which, what, who)

    def disrupt_an_activation(self, what: str, which: int, works: bool) -> None:
        """The same, of the owner or the flow of something that may be opened any moment."""
        self.go_through_with_it(which, which, proves=True, works=False, enters=False)
        self.every_status_came_by_the_table()
        expected = self.expected[self.request(which, "granting").pk]
        who = list(self.people.values()).index(expected.person)
        self.disrupt(what, self.flows.index(expected.flow), who)
        if works:
            self.target.mood = Mood.UP
            self.work()

    def change(self, which: int, what: str, who: int) -> None:
        flow, pk = self.flow(which), self.person(who).user.pk
        if what == "off":
            flow.is_active = not flow.is_active
            set_flow_active(
                actor=self.admin,
                window=fresh_window(self.admin),
                flow=flow.row,
                is_active=flow.is_active,
                client_info=SYSTEM,
            )
            return
        changes = {
            "require_mfa": flow.require_mfa ^ (what == "mfa"),
            "needs_approval": flow.needs_approval ^ (what == "approval"),
            "requesters": flow.requesters ^ ({pk} if what == "requester" else set()),
            "approvers": flow.approvers ^ ({pk} if what == "approver" else set()),
        }
        terms = vars(FlowInput.of(AccessFlow.objects.get(pk=flow.row.pk))) | {
            "require_mfa": changes["require_mfa"],
            "approval": "any_of" if changes["needs_approval"] else "automatic",
            "requester_users": frozenset(changes["requesters"]),
            "approver_users": frozenset(changes["approvers"]),
        }
        try:
            change_flow(
                actor=self.admin,
                window=fresh_window(self.admin),
                flow=flow.row,
                terms=FlowInput(**terms),
                seen_version=AccessFlow.objects.get(pk=flow.row.pk).version,
                client_info=SYSTEM,
            )
        except InvalidInput:  # nobody could ask, or nobody could approve
            return
        flow.version += 1
        for name, value in changes.items():
            setattr(flow, name, value)

    def reset(self, who: int, ends: bool) -> None:
        person = self.person(who)
        if person.authenticator is None:
            return
        reset_mfa_of_user(
            actor=self.admin,
            window=fresh_window(self.admin),
            user=person.user,
            reason="Lost phone",
            revoke_access=ends,
            client_info=SYSTEM,
        )
        person.authenticator = None
        person.void()

    def leave_or_come_back(self, who: int) -> None:
        person = self.person(who)
        service = deactivate_user if person.is_active else reactivate_user
        service(
            actor=self.admin, window=fresh_window(self.admin), user=person.user, client_info=SYSTEM
        )
        if person.is_active:
            person.void()
        person.is_active = not person.is_active

    # --- Time, target, worker -------------------------------------------------------------------
    def pass_time(self, seconds: int) -> None:
        self.coordinates.shift(timedelta(seconds=seconds))

    def target_becomes(self, mood: Mood) -> None:
        self.target.mood = mood

    def work(self) -> None:
        sweep(WORKER, timezone.now())
        if self.target.mood is not Mood.UP:
            self.healthy_from = timezone.now() + RETRY
        elif timezone.now() >= self.healthy_from:
            self.assert_nothing_outlives()

    def work_and_die(self, at: int, after: bool) -> None:
        self.target.dies_at, self.target.dies_after = at, after
        try:
            sweep(WORKER, timezone.now())
        except Killed:
            self.healthy_from = timezone.now() + RETRY
        finally:
            self.target.dies_at = None
        if self.target.mood is not Mood.UP:
            self.healthy_from = timezone.now() + RETRY

    def calm(self) -> None:
        """The target is well again, and the worker has had its time."""
        self.target.mood = Mood.UP
        self.coordinates.shift(RETRY)
        self.settle()
        self.healthy_from = timezone.now()
        self.assert_nothing_outlives()

    def settle(self) -> None:
        for _ in range(20):
            if not sweep(WORKER, timezone.now()):
                return
        raise AssertionError("The worker does not come to rest.")

    # --- What must hold -------------------------------------------------------------------------
    def witness_activation(self, spec: GrantSpec) -> None:
        """Check the first promise at the moment the target is asked to create a login."""
        grant = Grant.objects.select_related("request").get(pk=spec.grant_id)
        expected = self.expected[grant.request_id]
        why = expected.activation_obstacle(self.people)
        first = expected.deadlines.setdefault(grant.pk, spec.deadline)
        if spec.deadline != first:
            why = "its deadline has moved"
        if spec.deadline > timezone.now() + expected.duration:
            why = "it would last longer than expected for"
        if why:  # an exception here would be taken for trouble with the target
            self.broken.append(f"{grant.request.reference} is being opened although {why}")

    @invariant()
    def nothing_was_opened_that_must_not_be(self) -> None:
        assert self.broken == []

    def assert_nothing_outlives(self) -> None:
        """The second promise, whenever a worker has just been round and the target is well."""
        for login in self.target.logins.values():
            if not login.is_usable:
                continue
            request = AccessRequest.objects.get(grants=login.spec.grant_id)
            expected = self.expected[request.pk]
            assert request.status == "active", f"{request.reference} is {request.status} and usable"
            assert timezone.now() < expected.deadlines[login.spec.grant_id], "Usable past its end"
            assert expected.person.is_active, "Somebody who left still has access"
            assert expected.flow.is_active, "A flow that is off still gives access"

    @invariant()
    def every_status_came_by_the_table(self) -> None:
        events = Event.objects.filter(pk__gt=self.seen_event, request_id__in=self.expected)
        for event in events.order_by("pk"):
            self.seen_event = event.pk
            came, to = event.metadata.get("from"), event.metadata.get("to")
            if came and to:
                expected = self.expected[event.request_id or 0]
                assert came == expected.status, f"{event}: it was {expected.status}"
                assert to in TABLE.get(came, set()), f"{came} -> {to}"
                expected.status = to
        for pk, status in AccessRequest.objects.values_list("pk", "status"):
            assert status == self.expected[pk].status, f"AR-{pk} moved without an event"

    @invariant()
    def nothing_protected_goes_on_without_proof(self) -> None:
        for pk, expected in self.expected.items():
            if expected.require_mfa and expected.status in PROTECTED_NEEDS_PROOF:
                assert expected.proof is not None, f"AR-{pk} is {expected.status} without a proof"

    @invariant()
    def no_new_session_begins_past_an_end(self) -> None:
        for grant_id, deadline in Grant.objects.values_list("pk", "deadline"):
            login = next(
                (e for e in self.target.logins.values() if e.spec.grant_id == grant_id), None
            )
            assert login is None or login.spec.deadline <= deadline

    def teardown(self) -> None:
        try:
            self.calm()
            self.coordinates.shift(timedelta(days=3))
            self.settle()
            assert self.target.logins == {}
            for grant in Grant.objects.all():
                assert grant.state == GrantState.REMOVED
                assert grant.proof["holds"]
            self.every_status_came_by_the_table()
            self.nothing_was_opened_that_must_not_be()
            assert {expected.status for expected in self.expected.values()} <= OVER
            write_checkpoints(timezone.now())
            fan_out(timezone.now())
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)
            self.clock.stop()


MANY = int(os.environ.get("RUNS", "0"))


@pytest.mark.django_db
def test_random_actions_keep_the_two_promises(monkeypatch, settings):
    settings.WORKER_LEASE, settings.WORKER_INTERVAL_S = timedelta(0), 0
    modules = dict.fromkeys(registry.ConnectorKind, "tests.stateful.target")
    monkeypatch.setattr(registry, "_MODULES", modules)
    run_state_machine_as_test(RequestActions, settings=PROFILE)


PROFILE = settings(
    max_examples=MANY or (14 if connection.vendor == "sqlite" else 6),
    stateful_step_count=40,
    derandomize=not MANY,
    phases=[Phase.generate, Phase.shrink] if MANY else [Phase.generate],
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
