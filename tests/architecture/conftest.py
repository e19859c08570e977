"""One of each object and a user of each kind, for tests that try every URL."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.test import Client

from accessflows.models import AccessFlow, CanaryRun, CheckRun
from apono_portal.users.models import User
from requests_app.models import Status
from tests.architecture.smuggling import Rows, snapshot
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    GroupFactory,
    IdentityProviderFactory,
    UserFactory,
)


@dataclass
class World:
    """One of each object, and a user of each kind."""

    people: dict[str, User]
    clients: dict[str, Client]
    numbers: dict[str, int]
    rows: Rows = field(default_factory=dict)


@pytest.fixture
def world(db, signed_in, verified) -> World:
    people = {
        name: UserFactory(name=name.title(), **{role: True} if role else {})
        for name, role in {
            "admin": "admin",
            "closed": "admin",
            "auditor": "auditor",
            "requester": "",
            "approver": "",
            "bystander": "",
            "victim": "",
        }.items()
    }
    AuthenticatorFactory(user=people["closed"])
    group = GroupFactory(members=[people["victim"]])
    flow = AccessFlowFactory(
        requester_users=[people["requester"]],
        approver_users=[people["approver"]],
        approval=AccessFlow.Approval.ANY_OF,
        targets=1,
        max_duration=timedelta(hours=8),
    )
    waiting = AccessRequestFactory(
        requester=people["requester"], flow=flow, status=Status.PENDING_APPROVAL
    )
    open_ask = AccessRequestFactory(requester=people["requester"], flow=flow, status=Status.ACTIVE)
    integration = GrantFactory(request=open_ask).integration
    passed = {"integration": integration, "state": "passed"}
    canary = CanaryRun.objects.create(resource="a", permission="b", **passed)
    check = CheckRun.objects.create(**passed)
    provider = IdentityProviderFactory(slug="okta", domains=["halden.example"])
    provider.mappings.create(value="eng", group=group)
    clients = {name: signed_in(person) for name, person in people.items() if name != "admin"}
    clients |= {"admin": verified(people["admin"]), "stranger": Client()}
    numbers = {
        "flow": flow.pk,
        "integration": integration.pk,
        "group": group.pk,
        "person": people["victim"].pk,
        "waiting": waiting.pk,
        "open": open_ask.pk,
        "canary": canary.pk,
        "check": check.pk,
        "provider": provider.pk,
        "domain": provider.domains.get().pk,
        "mapping": provider.mappings.get().pk,
    }
    return World(people, clients, numbers, snapshot())
