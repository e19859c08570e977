"""A real target that an integration knows."""

import pytest

from accessflows.integrations.checks import check_integration
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.web.client import SYSTEM
from apono_portal.demo.postgres_server import available_versions
from tests.factories import IntegrationFactory
from tests.fixtures.postgres import (  # noqa: F401
    PgTarget,
    pg_target,
    provisioned_server,
    start_postgres,
)


@pytest.fixture(scope="session")
def pg_version() -> int:
    """The newest version found: these tests are about the portal, not about the server."""
    return max(available_versions(), default=0)


@pytest.fixture
def integration(db: None, pg_target: PgTarget) -> Integration:  # noqa: F811
    """An integration with a real server, not checked yet."""
    target = pg_target.target
    return IntegrationFactory(
        name="demo",
        host=target.host,
        port=target.port,
        settings=target.settings.as_dict(),
        broker=target.user,
        password=target.password,
        sslmode=target.sslmode,
        health=Integration.Health.UNKNOWN,
    )


@pytest.fixture
def checked(integration: Integration) -> Integration:
    check_integration(actor=None, integration=integration, client_info=SYSTEM)
    integration.refresh_from_db()
    return integration


@pytest.fixture
def choice(checked: Integration) -> str:
    """What the form posts for orders · orders_read."""
    resource = Resource.objects.get(integration=checked, name="orders")
    permission = Permission.objects.get(integration=checked, name="orders_read")
    return f"{resource.pk}:{permission.pk}"
