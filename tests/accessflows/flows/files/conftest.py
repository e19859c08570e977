"""An integration with the example receiver, and a rich set of flows."""

import socket
from collections.abc import Iterator
from datetime import time, timedelta
from ipaddress import ip_network

import pytest
from django.contrib.auth.models import Group
from pytest_django import Settings

from accessflows.flows.files.plan import FlowSource, Missing, make_plan
from accessflows.flows.files.services import apply_plan_from_console
from accessflows.flows.files.writer import export_flows
from accessflows.models import AccessFlow, EscalationTier, FlowTarget, Integration
from accessflows.requesters import Condition
from tests.factories import (
    AccessFlowFactory,
    GroupFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
    take_fingerprint,
)
from tests.fixtures.webhook import Receiver

FILE = "flows.yaml"


@pytest.fixture(scope="session")
def running_receiver() -> Iterator[Receiver]:
    """The example receiver, started once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Receiver(port)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def hook(db: None, running_receiver: Receiver, settings: Settings) -> Integration:
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    target = running_receiver.target
    hook = IntegrationFactory(
        name="Deploy hook",
        kind="webhook",
        host=target.host,
        port=target.port,
        settings=target.settings.as_dict(),
        password=target.password,
    )
    for name in ("orders", "reports"):
        ResourceFactory(integration=hook, name=name)
    for name in ("keeper", "reader"):
        PermissionFactory(integration=hook, name=name)
    return hook


@pytest.fixture
def people(db: None) -> tuple[Group, Group]:
    ada = UserFactory(name="Ada", email="ada@corp.test")
    return GroupFactory(name="Developers", members=[ada]), GroupFactory(name="Ops: on call")


def minimal(**changes: str) -> str:
    """Return a file with one flow; ``changes`` replace the YAML of a key, "" leaves it out."""
    values = {
        "name": "Deploy",
        "require_mfa": "true",
        "requesters": "[{conditions: [{attribute: group, operator: is, values: [Developers]}]}]",
        "targets": "[{integration: Deploy hook, resource: orders, permissions: [keeper]}]",
        "max_duration": "8 h",
        "approval": "automatic",
    } | changes
    lines = [f"    {key}: {value}" for key, value in values.items() if value]
    return "version: 1\nflows:\n  -\n" + "\n".join(lines) + "\n"


def plan_of(document: str, *, file: str = FILE, missing: Missing = Missing.KEEP, commit: str = ""):
    return make_plan(FlowSource(document=document, file=file, missing=missing, commit=commit))


def apply(document: str, **options):
    plan = plan_of(document, **options)
    return apply_plan_from_console(admin=None, operator="root", plan=plan.as_text())


def exported() -> str:
    return export_flows(AccessFlow.objects.all())


@pytest.fixture
def rich_flows(hook: Integration, people: tuple[Group, Group]) -> list[AccessFlow]:
    """Return flows that use every term of the format, with awkward names."""
    developers, on_call = people
    boss = UserFactory(name="Bo", email="bo@corp.test")
    contractors = GroupFactory(name="09:00")
    sets = (
        (
            Condition("group", "is", (on_call.pk, developers.pk)),
            Condition("user", "is_not", (boss.pk,)),
        ),
        (Condition("email_domain", "is", ("zed.test", "corp.test")),),
        (Condition("group", "contains", ("on", "Dev")),),
    )
    full = AccessFlowFactory(
        name="true",
        description="Ünïcode: “quotes”, # and 日本語",
        require_mfa=True,
        mfa_strength="phishing_resistant",
        verify_every_request=True,
        max_duration=timedelta(hours=1, minutes=30),
        max_extensions=2,
        extension_duration=timedelta(minutes=45),
        available_days=[4, 0],
        available_from=time(22, 0),
        available_until=time(6, 30),
        available_zone="Europe/Helsinki",
        approval="all_of",
        approvals_required=2,
        approver_groups=[on_call],
        approver_users=[boss],
        require_justification=False,
        ticket_pattern="OPS-# @-#",
        require_ticket=True,
        require_approver_reason=True,
        allow_self_approval=True,
        allow_delegation=True,
        agents="request",
        is_active=False,
        requesters=sets,
    )
    EscalationTier.objects.create(
        flow=full, position=1, wait=timedelta(minutes=30), group=contractors
    )
    emergency = AccessFlowFactory(
        name="Emergency", require_mfa=True, break_glass=True, requester_groups=[developers]
    )
    for flow in (full, emergency):
        for resource in hook.resources.order_by("-name"):
            for permission in hook.permissions.order_by("-name"):
                FlowTarget.objects.create(flow=flow, resource=resource, permission=permission)
        take_fingerprint(flow)
    return [full, emergency]
