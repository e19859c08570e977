"""The demo's users, groups, integration and access flows.

Seeding runs at every start. Users are created in an empty database only, and what an admin has deleted
is not created again: the audit log has its creation.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.postgresql.settings import maintenance_database
from accessflows.connectors.protocol import Target
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import Refused
from accessflows.flows import services as flows_services
from accessflows.flows.terms import FlowInput
from accessflows.integrations import checks
from accessflows.integrations import services as integrations_services
from accessflows.integrations.address import integration_digest
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import AccessFlow, Integration
from accessflows.requesters import named
from apono_portal.core.web.client import SYSTEM
from apono_portal.demo.environment import write_private
from apono_portal.demo.errors import DemoError
from apono_portal.demo.history import DAYS, PastFlow, event_of, link_history, write_history
from apono_portal.users.models import Role, User
from audit.events import EventName
from audit.models import Event
from audit.services import record

INTEGRATION = "Demo PostgreSQL"
HALF_AN_HOUR = timedelta(minutes=30)
# The actor of seeding in the audit log. Nobody can sign in as this user.
SEEDING_EMAIL = "setup@demo.example"


@dataclass(frozen=True)
class DemoUser:
    name: str
    mailbox: str
    role: Role = Role.MEMBER
    groups: tuple[str, ...] = ()
    account: str = ""  # label of the account, if visitors may sign in with it

    @property
    def email(self) -> str:
        return f"{self.mailbox}@demo.example"


USERS = (
    DemoUser("Nora Ekman", "admin", Role.ADMIN, account="admin"),
    DemoUser("Tomas Brandt", "approver", groups=("Billing owners",), account="approver"),
    DemoUser("Irma Solberg", "requester", groups=("Engineering",), account="requester"),
    DemoUser("Petra Novak", "auditor", Role.AUDITOR, account="auditor"),
    DemoUser("Luis Ferreira", "luis.ferreira", groups=("Engineering",)),
    DemoUser("Amara Obi", "amara.obi", groups=("Engineering",)),
    DemoUser("Jonas Keller", "jonas.keller", groups=("Engineering", "On call")),
    DemoUser("Mei Tanaka", "mei.tanaka", groups=("Finance",)),
    DemoUser("Rana Haddad", "rana.haddad", groups=("Finance",)),
    DemoUser("Oskar Lind", "oskar.lind", groups=("Support",)),
    DemoUser("Carla Rossi", "carla.rossi", groups=("Support", "On call")),
)


@dataclass(frozen=True)
class DemoFlow:
    name: str
    description: str
    targets: tuple[tuple[str, str], ...]  # database, capability role
    max_duration: timedelta
    require_mfa: bool
    approvers: str = ""
    escalation_group: str = ""  # notified after half an hour without a decision
    max_extensions: int = 0  # of half an hour
    requesters: str = "Engineering"
    break_glass: bool = False
    agents: str = AccessFlow.Agents.NONE


FLOWS = (
    DemoFlow(
        "Orders read-only",
        "Read live orders, customers and shipments.",
        (("orders", "orders_read"),),
        timedelta(hours=8),
        require_mfa=True,
        max_extensions=2,
        agents=AccessFlow.Agents.REQUEST,
    ),
    DemoFlow(
        "Billing read-write",
        "Correct invoices, payments and refunds.",
        (("billing", "billing_write"),),
        timedelta(hours=2),
        require_mfa=True,
        approvers="Billing owners",
        escalation_group="On call",
        max_extensions=1,
    ),
    DemoFlow(
        "Orders staging",
        "Experiment with a copy of the orders.",
        (("orders_staging", "orders_read"), ("orders_staging", "orders_write")),
        timedelta(hours=8),
        require_mfa=False,
        agents=AccessFlow.Agents.REVEAL,
    ),
    DemoFlow(
        "Billing break-glass",
        "Mend billing in an emergency, without approval. All admins are notified.",
        (("billing", "billing_write"),),
        timedelta(hours=1),
        require_mfa=True,
        requesters="On call",
        break_glass=True,
    ),
)


def seed(target: Target, *, accounts: Path) -> list[str]:
    """Create what is missing, and return a line about each part.

    The passwords of new users are written to ``accounts`` first.
    """
    lines = []
    if not User.objects.exists():
        events = create_users(accounts)
        lines.append(f"Created {len(USERS)} users; their passwords are in {accounts}")
        flows = [past_flow(flow) for flow in FLOWS]
        number = write_history(flows=flows, integration=INTEGRATION, before=events)
        lines.append(f"Created two months of history: {number:,} events")
    if not User.objects.filter(email=SEEDING_EMAIL).exists():
        return lines  # not a demo database
    try:
        with seeding_admin() as actor:
            integration = seed_integration(actor, target)
            if integration is not None:
                created = [flow.name for flow in FLOWS if seed_flow(actor, integration, flow)]
                lines += [f"Created the access flow {name}" for name in created]
                link_history(integration=integration)
    except (Refused, ConnectorError) as error:
        raise DemoError(f"The demo could not be seeded. {error.sentence}") from None
    return lines


@contextmanager
def seeding_admin() -> Iterator[User]:
    """Yield an admin to act as, who is deactivated before and after: no visitor meets a stray admin."""
    seeding = User.objects.filter(email=SEEDING_EMAIL)
    seeding.update(is_active=True, role=Role.ADMIN)
    try:
        yield seeding.get()
    finally:
        seeding.update(is_active=False, role=Role.MEMBER)


def past_flow(flow: DemoFlow) -> PastFlow:
    """Return what the history shows of a flow."""
    return PastFlow(
        name=flow.name,
        target=flow.targets[0],
        max_duration=flow.max_duration,
        requesters=tuple(user.mailbox for user in USERS if flow.requesters in user.groups),
        require_mfa=flow.require_mfa,
        approver="approver" if flow.approvers else "",
        break_glass=flow.break_glass,
    )


def create_users(file: Path) -> list[Event]:
    """Create users with new passwords, and write the accounts for visitors to a file.

    They have been here since the history began. Returns the events of that day, which are not saved.
    """
    passwords = {user: secrets.token_urlsafe(12) for user in USERS}
    accounts = [
        {"role": user.account, "email": user.email, "password": passwords[user]}
        for user in USERS
        if user.account
    ]
    write_private(file, json.dumps(accounts, indent=2) + "\n")
    began = timezone.now() - timedelta(days=DAYS + 1)
    with transaction.atomic():
        User.objects.create_user(SEEDING_EMAIL, "Demo seeding", is_active=False, created_at=began)
        names = sorted({name for demo_user in USERS for name in demo_user.groups})
        groups = {name: Group.objects.create(name=name) for name in names}
        events = []
        for demo_user in USERS:
            user = User.objects.create_user(
                demo_user.email,
                demo_user.name,
                passwords[demo_user],
                role=demo_user.role,
                created_at=began,
            )
            user.groups.set([groups[name] for name in demo_user.groups])
            metadata = {"role": demo_user.role, "groups": list(demo_user.groups)}
            events.append(event_of(EventName.USER_CREATE, began, None, user, metadata=metadata))
    return events


def seed_integration(actor: User, target: Target) -> Integration | None:
    """Return the demo's integration, checked and up to date; None if an admin deleted it."""
    terms = IntegrationInput(
        name=INTEGRATION,
        host=target.host,
        port=target.port,
        settings={"database": maintenance_database(target)},
        broker=target.user,
        password=target.password,
        sslmode=Integration.SslMode.PREFER,  # it listens on this machine's loopback only
    )
    integration = Integration.objects.filter(name=INTEGRATION).first()
    if integration is None and _was_created(EventName.INTEGRATION_CREATE, INTEGRATION):
        return None
    if integration is None:
        integration = integrations_services.create_integration(
            actor=actor, window=None, terms=terms, client_info=SYSTEM
        )
    else:
        follow_server(actor, integration, target)
    if any(getattr(integration, name) != getattr(terms, name) for name in ADDRESS_FIELDS):
        integration = integrations_services.change_integration(
            actor=actor,
            window=None,
            integration=integration,
            terms=terms,
            seen=integration_digest(integration),
            client_info=SYSTEM,
        )
    if not integration.system_identifier:
        checks.check_integration(actor=actor, integration=integration, client_info=SYSTEM)
        integration.refresh_from_db()
    return integration


def follow_server(actor: User, integration: Integration, target: Target) -> None:
    """Accept a new server in place of the old one, whose data is gone.

    Only the demo does that: elsewhere, another server is another integration.
    """
    old = integration.system_identifier
    new = connector_for(integration.kind).discover(target).server_id
    if old and new != old:
        integration.system_identifier = ""
        with transaction.atomic():
            integration.save(update_fields=["system_identifier"])
            record(
                event=EventName.INTEGRATION_CHANGE,
                actor=actor,
                target=integration,
                metadata={"changes": {"system_identifier": {"from": old, "to": new}}},
            )


def seed_flow(actor: User, integration: Integration, flow: DemoFlow) -> bool:
    """Create a flow unless it exists or was deleted. Returns whether it was created."""
    if AccessFlow.objects.filter(name=flow.name).exists() or _was_created(
        EventName.FLOW_CREATE, flow.name
    ):
        return False
    groups = {group.name: group.pk for group in Group.objects.all()}
    resources = {row.name: row.pk for row in integration.resources.present()}
    permissions = {row.name: row.pk for row in integration.permissions.present()}
    terms = FlowInput(
        name=flow.name,
        description=flow.description,
        require_mfa=flow.require_mfa,
        requesters=named(groups=[groups[flow.requesters]]),
        targets=frozenset(
            (resources[resource], permissions[permission]) for resource, permission in flow.targets
        ),
        max_duration=flow.max_duration,
        approval=AccessFlow.Approval.ANY_OF if flow.approvers else AccessFlow.Approval.AUTOMATIC,
        approver_groups=frozenset({groups[flow.approvers]} if flow.approvers else ()),
        escalation=((HALF_AN_HOUR, groups[flow.escalation_group]),)
        if flow.escalation_group
        else (),
        max_extensions=flow.max_extensions,
        break_glass=flow.break_glass,
        agents=flow.agents,
        extension_duration=HALF_AN_HOUR,
    )
    flows_services.create_flow(actor=actor, window=None, terms=terms, client_info=SYSTEM)
    return True


def _was_created(event: EventName, name: str) -> bool:
    return Event.objects.filter(event=event, target_label=name).exists()
