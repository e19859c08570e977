"""Connecting to a target that is not PostgreSQL: the password or key is in no argument."""

import tempfile
from pathlib import Path

import pytest

from accessflows.integrations.checks import check_integration
from apono_portal.core.web.client import SYSTEM
from tests.api.conftest import make_token
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    IntegrationFactory,
    UserFactory,
    take_fingerprint,
)
from tests.fixtures.mariadb import mariadb_server, mariadb_subject  # noqa: F401
from tests.fixtures.subjects import PORTAL
from tests.requests_app.conftest import settle

pytestmark = pytest.mark.django_db(transaction=True)
QUERY = "SELECT CURRENT_USER(); \\! tr '\\0' ' ' < /proc/$PPID/cmdline"


@pytest.fixture(params=["mariadb"])
def grant(request: pytest.FixtureRequest, settings: object):
    settings.PORTAL_ID = PORTAL
    subject = request.getfixturevalue(f"{request.param}_subject")
    target = subject.target
    integration = IntegrationFactory(
        kind=request.param,
        host=target.host,
        port=target.port,
        broker=target.user,
        password=target.password,
        settings=target.settings.as_dict(),
    )
    check_integration(actor=None, integration=integration, client_info=SYSTEM)
    requester = UserFactory()
    flow = AccessFlowFactory(requester_users=[requester])
    flow.targets.create(
        resource=integration.resources.get(name=subject.resource),
        permission=integration.permissions.get(name=subject.permission),
    )
    take_fingerprint(flow)
    access_request = AccessRequestFactory(requester=requester, flow=flow)
    settle()
    return access_request.grants.get()


def test_connect_runs_the_client_of_mariadb(cli, live_server, grant):
    _, secret = make_token(grant.request.requester)
    cli.environment.update(APORT_URL=live_server.url, APORT_TOKEN=secret)
    result = cli.run("connect", grant.request.reference, "--", "-N", typed=QUERY)
    assert result.returncode == 0, result.stderr
    assert f"{grant.login}@" in result.stdout
    assert f"--user={grant.login}" in result.stdout
    assert "assword" not in result.stdout


@pytest.mark.parametrize("grant", ["linux"], indirect=True)
def test_connect_runs_ssh_with_files_that_are_gone_afterwards(cli, live_server, grant):
    _, secret = make_token(grant.request.requester)
    cli.environment.update(APORT_URL=live_server.url, APORT_TOKEN=secret)
    result = cli.run("connect", grant.request.reference, "--", "whoami")
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{grant.login}\n"
    assert not list(Path(tempfile.gettempdir()).glob("aport-*"))
