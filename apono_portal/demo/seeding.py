"""The demo's people, groups, integration and access flows.

Run at every start: people are made when the database has none, and what was seeded once is not made
again when an admin has deleted it: the audit log remembers.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.contrib.auth.models import Group
from django.db import transaction

from accessflows.connectors.errors import ConnectorError
from accessflows.connectors.protocol import Target
from accessflows.connectors.registry import connector_for
from accessflows.exceptions import Refused
from accessflows.flows import services as flows_services
from accessflows.flows.terms import FlowInput
from accessflows.integrations import checks
from accessflows.integrations import services as integrations_services
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import AccessFlow, Integration
from apono_portal.core.web.client import SYSTEM
from apono_portal.demo.environment import write_private
from apono_portal.demo.errors import DemoError
from apono_portal.users.models import Role, User
from apono_portal.users.services.groups import create_group
from apono_portal.users.services.users import create_user
from audit.events import EventName
from audit.models import Event
from audit.services import record

INTEGRATION = "Demo PostgreSQL"
HALF_AN_HOUR = timedelta(minutes=30)
# Whose name stands on the record for what is seeded. Nobody can sign in as it.
SET_UP_EMAIL = "setup@demo.example"


@dataclass(frozen=True)
class Person:
    name: str
    mailbox: str
    role: Role = Role.MEMBER
    groups: tuple[str, ...] = ()
    part: str = ""  # what the demo's visitor can sign in as

    @property
    def email(self) -> str:
        return f"{self.mailbox}@demo.example"


PEOPLE = (
    Person("Nora Ekman", "admin", Role.ADMIN, part="admin"),
    Person("Tomas Brandt", "approver", groups=("Billing owners",), part="approver"),
    Person("Irma Solberg", "requester", groups=("Engineering",), part="requester"),
    Person("Petra Novak", "auditor", Role.AUDITOR, part="auditor"),
    Person("Luis Ferreira", "luis.ferreira", groups=("Engineering",)),
    Person("Amara Obi", "amara.obi", groups=("Engineering",)),
    Person("Jonas Keller", "jonas.keller", groups=("Engineering", "On call")),
    Person("Mei Tanaka", "mei.tanaka", groups=("Finance",)),
    Person("Rana Haddad", "rana.haddad", groups=("Finance",)),
    Person("Oskar Lind", "oskar.lind", groups=("Support",)),
    Person("Carla Rossi", "carla.rossi", groups=("Support", "On call")),
)


@dataclass(frozen=True)
class Flow:
    name: str
    description: str
    targets: tuple[tuple[str, str], ...]  # database, capability role
    max_duration: timedelta
    require_mfa: bool
    approvers: str = ""
    asked_later: str = ""  # once nobody decided for half an hour
    extensions: int = 0  # of half an hour


FLOWS = (
    Flow(
        "Orders read-only",
        "Look at live orders, customers and shipments.",
        (("orders", "orders_read"),),
        timedelta(hours=8),
        require_mfa=True,
        extensions=2,
    ),
    Flow(
        "Billing read-write",
        "Mend invoices, payments and refunds.",
        (("billing", "billing_write"),),
        timedelta(hours=2),
        require_mfa=True,
        approvers="Billing owners",
        asked_later="On call",
        extensions=1,
    ),
    Flow(
        "Orders staging",
        "Attempt things out on a copy of the orders.",
        (("orders_staging", "orders_read"), ("orders_staging", "orders_write")),
        timedelta(hours=8),
        require_mfa=False,
    ),
)
REQUESTORS = "Engineering"


def seed(target: Target, *, accounts: Path) -> list[str]:
    """Fill in what is missing. Returns sentences about what was done.

    The sign-ins of new people are written to ``accounts`` before they are made.
    """
    told = []
    if not User.objects.exists():
        make_people(accounts)
        told.append(f"Made {len(PEOPLE)} people; their sign-ins are in {accounts}")
    actor = User.objects.filter(email=SET_UP_EMAIL).first()
    if actor is None:
        return told  # somebody else's portal: nothing of the demo belongs here
    try:
        integration = seed_integration(actor, target)
        if integration is not None:
            made = [flow.name for flow in FLOWS if seed_flow(actor, integration, flow)]
            told += [f"Made the access flow {name}" for name in made]
    except (Refused, ConnectorError) as error:
        raise DemoError(f"The demo could not be filled in. {error.sentence}") from None
    return told


def make_people(file: Path) -> None:
    """Make everybody with a new password, and write down those a visitor may use."""
    passwords = {person: secrets.token_urlsafe(12) for person in PEOPLE}
    accounts = [
        {"role": person.part, "email": person.email, "password": passwords[person]}
        for person in PEOPLE
        if person.part
    ]
    write_private(file, json.dumps(accounts, indent=2) + "\n")
    with transaction.atomic():
        actor = User.objects.create_user(SET_UP_EMAIL, "Demo set-up", role=Role.ADMIN)
        names = sorted({name for person in PEOPLE for name in person.groups})
        groups = {
            name: create_group(actor=actor, window=None, name=name, members=[], client_info=SYSTEM)
            for name in names
        }
        for person in PEOPLE:
            user = create_user(
                actor=actor,
                window=None,
                email=person.email,
                name=person.name,
                role=person.role,
                groups=[groups[name] for name in person.groups],
                client_info=SYSTEM,
            )
            user.set_password(passwords[person])
            user.save(update_fields=["password"])


def seed_integration(actor: User, target: Target) -> Integration | None:
    """Return the demo's integration, looked at and up to date; None if an admin deleted it."""
    terms = IntegrationInput(
        name=INTEGRATION,
        host=target.host,
        port=target.port,
        database=target.database,
        broker=target.user,
        password=target.password,
        sslmode=Integration.SslMode.PREFER,  # it listens on this machine's loopback only
    )
    found = Integration.objects.filter(name=INTEGRATION).first()
    if found is None and _once_made(EventName.INTEGRATION_CREATE, INTEGRATION):
        return None
    if found is None:
        found = integrations_services.create_integration(
            actor=actor, window=None, terms=terms, client_info=SYSTEM
        )
    else:
        follow_server(actor, found, target)
    if any(getattr(found, name) != getattr(terms, name) for name in ADDRESS_FIELDS):
        found = integrations_services.change_integration(
            actor=actor, window=None, integration=found, terms=terms, client_info=SYSTEM
        )
    if not found.system_identifier:
        checks.check_integration(actor=actor, integration=found, client_info=SYSTEM)
        found.refresh_from_db()
    return found


def follow_server(actor: User, integration: Integration, target: Target) -> None:
    """Forget which server it was if its data is gone and a new one stands in its place.

    Only the demo may do that: elsewhere another server is another integration.
    """
    known = integration.system_identifier
    found = connector_for(integration.kind).discover(target).system_identifier
    if known and found != known:
        integration.system_identifier = ""
        with transaction.atomic():
            integration.save(update_fields=["system_identifier"])
            record(
                event=EventName.INTEGRATION_CHANGE,
                actor=actor,
                target=integration,
                metadata={"changes": {"system_identifier": {"from": known, "to": found}}},
            )


def seed_flow(actor: User, integration: Integration, flow: Flow) -> bool:
    """Make a flow unless it is, or was, there. Returns whether it was made."""
    if AccessFlow.objects.filter(name=flow.name).exists() or _once_made(
        EventName.FLOW_CREATE, flow.name
    ):
        return False
    groups = {group.name: group.pk for group in Group.objects.all()}
    resources = {each.name: each.pk for each in integration.resources.present()}
    permissions = {each.name: each.pk for each in integration.permissions.present()}
    terms = FlowInput(
        name=flow.name,
        description=flow.description,
        require_mfa=flow.require_mfa,
        requester_groups=frozenset({groups[REQUESTORS]}),
        targets=frozenset((resources[where], permissions[what]) for where, what in flow.targets),
        max_duration=flow.max_duration,
        approval=AccessFlow.Approval.ANY_OF if flow.approvers else AccessFlow.Approval.AUTOMATIC,
        approver_groups=frozenset({groups[flow.approvers]} if flow.approvers else ()),
        escalation=((HALF_AN_HOUR, groups[flow.asked_later]),) if flow.asked_later else (),
        max_extensions=flow.extensions,
        extension_duration=HALF_AN_HOUR,
    )
    flows_services.create_flow(actor=actor, window=None, terms=terms, client_info=SYSTEM)
    return True


def _once_made(event: EventName, name: str) -> bool:
    return Event.objects.filter(event=event, target_label=name).exists()
