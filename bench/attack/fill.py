"""Fills a campaign's database: people with passwords and authenticators, flows, the integration.

Runs inside the portal's environment, reads what is wanted from its input, and prints who there is
with their secrets: the campaign keeps them in memory only.
"""

import json
import secrets
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import django

django.setup()

from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import Group  # noqa: E402

from accessflows.flows.services import create_flow
from accessflows.flows.terms import FlowInput
from accessflows.integrations.checks import check_integration
from accessflows.integrations.services import create_integration
from accessflows.integrations.terms import IntegrationInput  # noqa: E402
from accessflows.models import AccessFlow, Integration, Permission, Resource  # noqa: E402
from apono_portal.core.crypto import encryption  # noqa: E402
from apono_portal.core.web.client import SYSTEM  # noqa: E402
from apono_portal.users.models import Role, User  # noqa: E402
from bench.attack.target import FORBIDDEN, RIGHTFUL  # noqa: E402
from mfa.models import Authenticator, MfaState  # noqa: E402

CAST = {
    "ada": Role.ADMIN,
    "abel": Role.ADMIN,
    "arthur": Role.AUDITOR,
    "pia": Role.MEMBER,
    "paul": Role.MEMBER,
    "olga": Role.MEMBER,
    "otto": Role.MEMBER,
    "oona": Role.MEMBER,
}
APPROVERS = ("pia", "paul")
NEWCOMERS = 12  # who have not set up MFA


def fill(wanted: dict[str, Any]) -> dict[str, Any]:
    people = make_people(wanted["accounts"])
    admin = User.objects.get(email="ada@example.org")
    integration = make_integration(admin, wanted)
    everyone = Group.objects.create(name="Everyone")
    everyone.user_set.set(User.objects.filter(role=Role.MEMBER))
    board = Group.objects.create(name="Board")
    approvers = Group.objects.create(name="Approvers")
    approvers.user_set.set(User.objects.filter(email__in=emails_of(APPROVERS)))
    flows = {
        name: make_flow(admin, integration, name, everyone, board, approvers)
        for name in FORBIDDEN + RIGHTFUL
    }
    enrol(people)
    return {"people": people, "flows": flows, "integration": integration.pk}


def make_people(accounts: int) -> list[dict[str, Any]]:
    """The cast by name, the newcomers, then as many more as are wanted."""
    crowd = accounts - len(CAST) - NEWCOMERS
    names = [*CAST, *(f"newcomer{number:02}" for number in range(1, NEWCOMERS + 1))]
    names += [f"person{number:04}" for number in range(1, crowd + 1)]
    passwords = {name: secrets.token_urlsafe(12) for name in names}
    rows = [
        User(
            email=f"{name}@example.org",
            name=name.capitalize(),
            role=CAST.get(name, Role.MEMBER),
            password=make_password(passwords[name]),
        )
        for name in names
    ]
    User.objects.bulk_create(rows)
    ids = dict(User.objects.values_list("email", "pk"))
    return [
        {
            "name": name,
            "id": ids[f"{name}@example.org"],
            "email": f"{name}@example.org",
            "password": passwords[name],
            "secret": "" if name.startswith("newcomer") else secrets.token_bytes(20).hex(),
        }
        for name in names
    ]


def enrol(people: list[dict[str, Any]]) -> None:
    """Give all but the newcomers an authenticator app, its key sealed as set-up seals it."""
    people = [person for person in people if person["secret"]]
    MfaState.objects.bulk_create(
        [MfaState(user_id=person["id"]) for person in people], ignore_conflicts=True
    )
    Authenticator.objects.bulk_create(
        Authenticator(
            user_id=person["id"],
            name="Authenticator app",
            confirmed=True,
            key=encryption.encrypt(
                bytes.fromhex(person["secret"]), purpose=encryption.TOTP_KEY, owner=person["id"]
            ),
        )
        for person in people
    )


def make_integration(admin: User, wanted: dict[str, Any]) -> Integration:
    terms = IntegrationInput(
        name="target",
        host=wanted["host"],
        port=wanted["port"],
        broker=wanted["broker"],
        password=wanted["broker_password"],
        sslmode=Integration.SslMode.DISABLE,
    )
    integration = create_integration(actor=admin, window=None, terms=terms, client_info=SYSTEM)
    inspect_target = check_integration(actor=admin, integration=integration, client_info=SYSTEM)
    for check in inspect_target.checks:
        if not check.ok:
            print(f"{check.name}: {check.sentence}", file=sys.stderr)
    return integration


def make_flow(
    admin: User,
    integration: Integration,
    name: str,
    everyone: Group,
    board: Group,
    approvers: Group,
) -> dict[str, int]:
    """A protected flow. Payroll and refunds want an approver; only the board may ask for the vault."""
    decided = name in {"payroll", "refunds"}
    resource = Resource.objects.get(integration=integration, name=name)
    permission = Permission.objects.get(integration=integration, name=f"{name}_reader")
    terms = FlowInput(
        name=name.capitalize(),
        require_mfa=True,
        requester_groups=frozenset({(board if name == "vault" else everyone).pk}),
        targets=frozenset({(resource.pk, permission.pk)}),
        max_duration=timedelta(hours=1),
        approval=AccessFlow.Approval.ANY_OF if decided else AccessFlow.Approval.AUTOMATIC,
        approver_groups=frozenset({approvers.pk} if decided else ()),
    )
    flow = create_flow(actor=admin, window=None, terms=terms, client_info=SYSTEM)
    return {"id": flow.pk, "target": flow.targets.get().pk}


def emails_of(names: Iterable[str]) -> list[str]:
    return [f"{name}@example.org" for name in names]


if __name__ == "__main__":
    json.dump(fill(json.load(sys.stdin)), sys.stdout)
