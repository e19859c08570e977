"""A portal with something on every page: people, flows and requests in every state, long names included."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone

from accessflows.flows.files.plan import FlowSource, make_plan
from accessflows.flows.files.writer import export_flows
from accessflows.models import AccessFlow, CanaryRun
from apono_portal.api.flow_plans.services import hash_of_plan
from apono_portal.api.models import PlanConfirmation
from apono_portal.scim.models import Directory, ScimGroup, ScimUser
from apono_portal.sso.models import IdentityProvider
from apono_portal.users.device_sessions import remember_device
from apono_portal.users.models import User
from audit.events import EventName
from audit.services import record
from requests_app.models import UNFINISHED, AccessRequest, GrantState, Status
from tests.conftest import BACKEND, open_window_in
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    DecisionFactory,
    GrantFactory,
    GroupFactory,
    IdentityProviderFactory,
    IntegrationFactory,
    PasskeyFactory,
    TokenFactory,
    UserFactory,
    VerificationFactory,
)

LONG = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh"
LONG_REASON = (
    "Look_into_" + "a_name_without_any_place_to_break_" * 4 + "and then some words, INC-733."
)
BY_AGENT = {"token_id": 1, "token_name": f"Agent of {LONG}"[:64], "by_agent": True}
LIVE_GRANTS = {
    Status.ACTIVE: GrantState.ACTIVE,
    Status.REVOKING: GrantState.REVOKING,
    Status.EXPIRED: GrantState.REMOVED,
    Status.REVOKED: GrantState.REMOVED,
}


@dataclass
class World:
    """People by role, and one request of theirs for each status."""

    people: dict[str, User] = field(default_factory=dict)
    requests: dict[str, AccessRequest] = field(default_factory=dict)
    flow: AccessFlow = None  # type: ignore[assignment]
    decidable: AccessRequest = None  # type: ignore[assignment]
    break_glass: AccessRequest = None  # type: ignore[assignment]
    canary: CanaryRun = None  # type: ignore[assignment]
    provider: IdentityProvider = None  # type: ignore[assignment]
    directory: Directory = None  # type: ignore[assignment]

    @classmethod
    def made(cls) -> "World":
        world = cls()
        world._people()
        world._flows()
        world._requests()
        world._providers()
        world._directory()
        world._plan()
        return world

    def _people(self) -> None:
        owners = GroupFactory(name="Billing owners of the northern and the southern warehouses")
        self.people = {
            "admin": UserFactory(name="Nora Ekman", admin=True),
            "auditor": UserFactory(name="Petra Novak", auditor=True),
            "requester": UserFactory(name=f"Irma {LONG}", email=f"irma@{LONG.lower()}.example"),
            "approver": UserFactory(name="Tomas Brandt", groups=[owners]),
            "newcomer": UserFactory(name="Mei Tanaka"),
            "waiting": UserFactory(name="Jonas Keller"),
        }
        for role in ("admin", "requester", "approver", "waiting"):
            AuthenticatorFactory(user=self.people[role], name="Aegis on Pixel 8")
        self.passkey = PasskeyFactory(user=self.people["requester"], name="Work laptop of 2026")
        self.token = TokenFactory(user=self.people["requester"], name=f"Laptop of {LONG}"[:64])
        self.service = UserFactory(name="Deployments", is_service=True)
        self.owners = owners

    def _plan(self) -> None:
        """A plan of access flows that a token of the admin's waits to apply."""
        document = export_flows(AccessFlow.objects.all())
        plan = make_plan(FlowSource(document=document, file="flows.yaml")).as_text()
        self.admin_token = TokenFactory(user=self.people["admin"], name="Pipeline")
        self.plan = PlanConfirmation(
            token=self.admin_token, plan=plan, plan_hash=hash_of_plan(plan)
        )
        self.plan.sign().save()

    def _providers(self) -> None:
        long_name = "Halden directory of people and partners"
        self.provider = IdentityProviderFactory(name=long_name, domains=[f"{LONG.lower()}.example"])
        self.provider.mappings.create(value="grp-billing-" + "x" * 60, group=self.owners)
        self.provider.mappings.create(value="access-admins", role="admin")
        IdentityProviderFactory(name="Contractors")

    def _directory(self) -> None:
        self.directory = Directory.objects.create(name="Halden directory of people and partners")
        self.directory.tokens.create(
            token_hash="0" * 64,
            hint="k3Qd",
            created_by_label=f"Nora Ekman <nora@{LONG.lower()}.example>",
            expires_at=timezone.now() + timedelta(days=90),
        )
        self.managed = GroupFactory(name="Finance systems", members=[self.people["requester"]])
        ScimGroup.objects.create(directory=self.directory, group=self.managed)
        ScimUser.objects.create(
            directory=self.directory, user=self.people["requester"], user_name="irma"
        )

    def _flows(self) -> None:
        askers = [self.people[role] for role in ("requester", "waiting")]
        self.flow = AccessFlowFactory(
            name="Billing write for those who mend invoices at the end of the month",
            description="Mend invoices, payments and refunds.",
            require_mfa=True,
            approval=AccessFlow.Approval.ANY_OF,
            approver_groups=[self.owners],
            requester_users=askers,
            agents=AccessFlow.Agents.REQUEST,
            targets=3,
        )
        AccessFlowFactory(name="Orders read-only", requester_users=askers, targets=1)
        integration = self.flow.targets.first().resource.integration
        IntegrationFactory(name="ledger-prod", health="down")
        self.canary = CanaryRun.objects.create(
            integration=integration,
            resource="orders",
            permission="orders_read",
            requested_by_label="Nora Ekman",
            state=CanaryRun.State.PASSED,
            finished_at=timezone.now(),
        )

    def _requests(self) -> None:
        requester = self.people["requester"]
        for status in Status.values:
            request = AccessRequestFactory(
                requester=requester,
                flow=self.flow,
                status=status,
                justification=LONG_REASON,
                duration=timedelta(hours=4),
                **(BY_AGENT if status in UNFINISHED else {}),
            )
            self.requests[status] = request
            record(event=EventName.REQUEST_SUBMIT, actor=requester, target=request, request=request)
            if status in LIVE_GRANTS:
                GrantFactory(request=request, state=LIVE_GRANTS[Status(status)], login="jit_abc")
            if status == Status.REJECTED:
                word = VerificationFactory(user=self.people["approver"])
                DecisionFactory(
                    request=request,
                    approver=self.people["approver"],
                    verdict="reject",
                    reason="One invoice at a time.",
                    verification=word,
                )
        self.break_glass = AccessRequestFactory(
            requester=requester,
            flow=AccessFlowFactory(
                name="On-call break-glass", require_mfa=True, break_glass=True, targets=1
            ),
            status=Status.EXPIRED,
            justification=LONG_REASON,
            starts_at=timezone.now() - timedelta(hours=2),
            ends_at=timezone.now() - timedelta(hours=1),
            ended_at=timezone.now() - timedelta(hours=1),
        )
        self.decidable = self.requests[Status.PENDING_APPROVAL]
        AccessRequestFactory(
            requester=self.people["waiting"], flow=self.flow, status=Status.PENDING_MFA
        )

    def cookie(self, role: str, url: str) -> dict[str, Any]:
        """The cookie of a session of that role; all with MFA but "waiting" have an open window."""
        client = Client()
        user = User.objects.select_related("mfa_state").get(pk=self.people[role].pk)
        client.force_login(user, backend=BACKEND)
        list_device_in(client, user)
        if role in {"admin", "requester", "approver"}:
            open_window_in(client, user, VerificationFactory(user=user))
        name = settings.SESSION_COOKIE_NAME
        return {"name": name, "value": client.cookies[name].value, "url": url}


def list_device_in(client: Client, user: User) -> None:
    """List the client's session among the user's devices, as a sign-in does, beside one more."""
    elsewhere = Client()
    elsewhere.force_login(user, backend=BACKEND)
    browsers = {client: "Firefox/140.0 (Windows NT 10.0)", elsewhere: "Safari/604.1 (iPhone)"}
    for browser, agent in browsers.items():
        request = HttpRequest()
        request.user, request.session = user, browser.session
        request.META |= {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": "10.0.0.7"}
        remember_device(request, user)
        request.session.save()
