"""Access Flows in the browser's eyes: list, create, edit, save, switch."""

import pytest

from tests.factories import (
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
)

CREATE = "/access-flows/new/self-serve/"


@pytest.fixture
def choice(db):
    integration = IntegrationFactory(name="demo")
    resource = ResourceFactory(integration=integration, name="orders")
    permission = PermissionFactory(integration=integration, name="orders_read")
    return resource, permission
