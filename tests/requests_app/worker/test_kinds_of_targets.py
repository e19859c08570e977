"""A grant on targets that enforce no end: from the request to the proof, as its page shows it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accessflows.integrations.checks import check_integration
from accessflows.models import Integration
from apono_portal.core.web.client import SYSTEM
from requests_app.drift.scan import due_for_scan, scan_target
from requests_app.grants.credentials import reveal_credential
from requests_app.models import AccessRequest, Drift, Grant, GrantState, Status
from requests_app.presenters.request import request_page
from requests_app.worker.deadline_watchdog import DeadlineWatchdog
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    IntegrationFactory,
    UserFactory,
    requester_users_of,
    take_fingerprint,
)
from tests.fixtures.subjects import PORTAL, Subject
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db
DURATION = timedelta(minutes=2)


@pytest.fixture(params=["mariadb", "valkey"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def subject(kind: str, request: pytest.FixtureRequest, settings: object) -> Subject:
    settings.PORTAL_ID = PORTAL  # type: ignore[attr-defined]
    subject: Subject = request.getfixturevalue(f"{kind}_subject")
    return subject


@pytest.fixture
def integration(kind: str, subject: Subject) -> Integration:
    target = subject.target
    integration = IntegrationFactory(
        kind=kind,
        host=target.host,
        port=target.port,
        broker=target.user,
        password=target.password,
        settings=target.settings.as_dict(),
    )
    inspection = check_integration(actor=None, integration=integration, client_info=SYSTEM)
    assert [check.sentence for check in inspection.checks if not check.ok] == []
    integration.refresh_from_db()
    return integration


@pytest.fixture
def active(subject: Subject, integration: Integration) -> Callable[[], Grant]:
    """A function that requests, and returns the active grant."""
    flow = AccessFlowFactory(requester_users=[UserFactory()])
    flow.targets.create(
        resource=integration.resources.get(name=subject.resource),
        permission=integration.permissions.get(name=subject.permission),
    )
    take_fingerprint(flow)
    requester = requester_users_of(flow).get()

    def request() -> Grant:
        made = AccessRequestFactory(requester=requester, flow=flow, duration=DURATION)
        settle()
        return grant_of(made)

    return request


def grant_of(request: AccessRequest) -> Grant:
    return Grant.objects.select_related("request__requester", "integration").get(request=request)


def settle_later(moment: object) -> None:
    with time_machine.travel(moment, tick=True):  # type: ignore[arg-type]
        settle()


every_kind = pytest.mark.parametrize("kind", ["mariadb", "valkey", "linux"], indirect=True)


@every_kind
def test_access_is_active_expires_and_is_proven(
    subject: Subject, active: Callable[[], Grant]
) -> None:
    grant = active()
    assert (grant.request.status, grant.state) == (Status.ACTIVE, GrantState.ACTIVE)
    credential = reveal_credential(actor=grant.request.requester, grant=grant, window=None)
    session = subject.open_session(credential)
    assert session.works()
    settle_later(grant.deadline + timedelta(seconds=1))
    grant = grant_of(grant.request)
    assert (grant.request.status, grant.state) == (Status.EXPIRED, GrantState.REMOVED)
    assert not session.works()
    assert not subject.exists(grant.login)
    assert grant.proof["holds"] is True
    [card] = request_page(grant.request, grant.request.requester, timezone.now()).grants
    assert "ot visible" in dict(card.proof)["Left behind"]


def test_the_page_says_who_keeps_each_promise(
    kind: str, active: Callable[[], Grant], client: Client
) -> None:
    grant = active()
    client.force_login(grant.request.requester)
    url = reverse("requests:detail", args=[grant.request_id])
    before = client.get(url).content.decode()
    shown = client.post(reverse("requests:reveal", args=[grant.request_id])).content.decode()
    program = {"mariadb": "mariadb -h", "valkey": "valkey-cli"}[kind]
    for page in (before, shown):
        assert "The server enforces no end" in page
        assert "psql" not in page
    assert program in shown.replace("<span>", "").replace("</span>", "")
    with time_machine.travel(grant.deadline + timedelta(minutes=1)):
        overdue = client.get(url).content.decode()
    assert "may still be in use" in overdue
    assert "refuses new sign-ins" not in overdue


@pytest.mark.parametrize("kind", ["linux"], indirect=True)
def test_a_certificate_is_shown_as_files(active: Callable[[], Grant], client: Client) -> None:
    grant = active()
    client.force_login(grant.request.requester)
    shown = client.post(reverse("requests:reveal", args=[grant.request_id])).content.decode()
    for file in (grant.login, f"{grant.login}-cert.pub", f"{grant.login}-known_hosts"):
        assert f'download="{file}"' in shown
    assert "BEGIN%20OPENSSH%20PRIVATE%20KEY" in shown
    assert "sshd refuses the certificate after the end" in shown
    assert "<dt>Password</dt>" not in shown


@every_kind
def test_a_scan_finds_drift_and_only_that(
    subject: Subject, integration: Integration, active: Callable[[], Grant]
) -> None:
    grant = active()

    def scan() -> set[str]:
        due_for_scan(timezone.now(), all_targets=True)
        scan_target(integration.pk, "worker")
        return set(Drift.objects.open().values_list("kind", flat=True))

    assert scan() == set()
    reveal_credential(actor=grant.request.requester, grant=grant, window=None)
    assert scan() == set()
    subject.remove_stranger(grant.login)
    assert scan() == {Drift.Kind.DROPPED}
    settle()
    assert grant_of(grant.request).request.status == Status.REVOKED


def test_the_watchdog_ends_access_while_the_database_is_away(
    subject: Subject, active: Callable[[], Grant]
) -> None:
    grant = active()
    credential = reveal_credential(actor=grant.request.requester, grant=grant, window=None)
    session = subject.open_session(credential)
    watchdog = DeadlineWatchdog(interval_s=1)
    watchdog.refresh(timezone.now())
    for task in watchdog.contain_overdue(grant.deadline + timedelta(seconds=1)):
        task.result()
    watchdog.stop()
    assert not session.works()
    assert not subject.can_sign_in(credential)
