"""Access Flows in the browser's eyes: list, create, edit, save, switch."""

from datetime import timedelta

import pytest

from accessflows.choices import write_pair
from accessflows.models import AccessFlow
from tests.factories import (
    AccessFlowFactory,
    GroupFactory,
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
