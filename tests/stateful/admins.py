"""What admins do to users and flows."""

from datetime import timedelta

from accessflows.exceptions import InvalidInput
from accessflows.flows.services import change_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow
from accessflows.requesters import named
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.services import deactivate_user, reactivate_user, reset_mfa_of_user
from requests_app.worker.reconciler import start_activations
from tests.factories import fresh_window
from tests.stateful.people import PeopleActions
from tests.stateful.target import Mood

DISRUPTIONS = (
    *["mfa", "approval", "requester", "approver", "off", "reset", "reset and end", "leave"],
    "duration",
)


class AdminActions(PeopleActions):
    def disrupt(self, what: str, which: int, who: int) -> None:
        """One of what seldom happens and shakes what stands."""
        if what.startswith("reset"):
            self.reset(who, ends="end" in what)
        elif what == "leave":
            self.leave_or_come_back(who)
        else:
            self.change(which, what, who)

    def disrupt_an_activation(self, what: str, which: int, works: bool) -> None:
        """The same, of the owner or the flow of something that may be activated any moment.

        Often its grants are written before, so that only the check of the attempt can notice.
        """
        self.go_through_with_it(which, which, proves=True, works=False, enters=False)
        if which % 2:
            start_activations()
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
            "max_minutes": flow.max_minutes if what != "duration" else 180 - flow.max_minutes,
        }
        terms = vars(FlowInput.of(AccessFlow.objects.get(pk=flow.row.pk))) | {
            "require_mfa": changes["require_mfa"],
            "approval": "any_of" if changes["needs_approval"] else "automatic",
            "requesters": named(users=changes["requesters"]),
            "approver_users": frozenset(changes["approvers"]),
            "max_duration": timedelta(minutes=changes["max_minutes"]),
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
