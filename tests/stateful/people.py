"""What requesters and approvers do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.utils import timezone

from mfa.exceptions import WindowClosed
from mfa.verification.throttle_scope import ThrottleScope
from requests_app.approvals.services import decide_request
from requests_app.exceptions import Conflict, RequestRefused
from requests_app.grants.credentials import reveal_credential
from requests_app.grants.extension import extend_access
from requests_app.grants.revocation import cancel_request, revoke_access
from requests_app.models import Decision, Grant
from requests_app.submission.step_up import step_up
from tests.factories import AuthenticatorFactory, code_for, window_of
from tests.fixtures.submission import submit_request
from tests.stateful.truth import ExpectedRequest, ExtensionRequest, Person, Proof
from tests.stateful.workers import WorkerActions

MAX_PENDING_MFA = 20  # of one person
REFUSALS = (RequestRefused, Conflict, WindowClosed)


class PeopleActions(WorkerActions):
    def set_up_mfa(self, who: int) -> None:
        person = self.person(who)
        if person.authenticator is None and person.is_active:
            person.authenticator = AuthenticatorFactory(user=person.user)

    def enter_code(self, who: int, kind: str) -> None:
        person = self.person(who)
        if not person.is_active:
            return
        if kind == "right":
            self.shift_clock(31)  # the app shows the next code
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
            others = [other.authenticator for other in self.people.values() if other is not person]
            return next((code_for(other) for other in others if other), "123456")
        if kind == "right" and right:
            return right
        return f"{(int(right or 0) + 1) % 1_000_000:06d}"

    def submit(self, who: int, which: int, minutes: int) -> None:
        person, flow = self.person(who), self.flow(which)
        longest = flow.max_minutes
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
            requests = self.expected.values()
            pending_mfa = [request for request in requests if request.status == "pending_mfa"]
            full = sum(request.person is person for request in pending_mfa) >= MAX_PENDING_MFA
            assert not may or minutes > longest or full
            return
        assert may
        assert minutes <= longest
        proven = person.has_open_window(timezone.now())
        expected = ExpectedRequest(
            person,
            flow,
            flow.terms,
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

    def extend(self, who: int, which: int, proves: bool) -> None:
        request = self.request(which, "active")
        expected = self.expected[request.pk]
        if proves:
            self.enter_code(list(self.people.values()).index(expected.person), "right")
        person = self.person(who) if who % 4 == 3 else expected.person
        in_time = request.ends_at is not None and timezone.now() < request.ends_at
        is_proven = person.has_open_window(timezone.now())
        try:
            with self.requesting_extension(expected, person):
                extend_access(
                    actor=person.user,
                    request=request,
                    used=request.extensions_used,
                    window=person.window,
                )
        except REFUSALS:
            return
        assert person is expected.person
        assert in_time
        assert is_proven or not expected.require_mfa, "Extended without a fresh code"

    @contextmanager
    def requesting_extension(self, expected: ExpectedRequest, person: Person) -> Iterator[None]:
        """The target is asked within the service, so what is requested is noted before."""
        before = expected.extension
        expected.extension = before or ExtensionRequest(person, person.proof)
        try:
            yield
        except REFUSALS:
            expected.extension = before
            raise

    def go_through_with_it(
        self, which: int, who: int, proves: bool, works: bool, enters: bool
    ) -> None:
        """Do what a request waits for: its owner's code, another's approval, a worker's round."""
        request = self.request(which, "pending_mfa")
        owner = self.expected[request.pk].person
        others = [n for n, person in enumerate(self.people.values()) if person is not owner]
        if self.expected[request.pk].status == "pending_mfa":
            self.enter_code(list(self.people.values()).index(owner), "right")
        self.every_status_came_by_the_table()
        self.decide(others[who % len(others)], which, "approve", proves=proves)
        if works:
            self.work()
        if works and enters:
            self.every_status_came_by_the_table()
            requests = self.expected.values()
            owners = [request.person for request in requests if request.status == "active"]
            for person in owners[:1]:
                self.reveal_and_sign_in(list(self.people.values()).index(person), 0, proves=True)
