"""What must hold after every action, and what must hold when a worker has just been round."""

from django.utils import timezone
from hypothesis.stateful import invariant

from audit.models import Event
from requests_app.models import AccessRequest, Grant
from tests.stateful.portal import Portal
from tests.stateful.truth import PROTECTED_NEEDS_PROOF, TABLE


class Invariants(Portal):
    @invariant()
    def nothing_was_activated_that_must_not_be(self) -> None:
        assert self.broken == []

    def assert_nothing_outlives(self) -> None:
        """The second promise, whenever a worker has just been round and the target is up."""
        self.every_status_came_by_the_table()
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
            if event.event == "request:extend":
                self.expected[event.request_id or 0].extend()
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
        for grant in Grant.objects.all():
            login = self.target.logins.get(grant.identity.name) if grant.identity else None
            expected = self.expected[grant.request_id]
            assert login is None or login.deadline <= expected.latest_end(grant.pk)
