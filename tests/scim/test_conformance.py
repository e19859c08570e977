"""The SCIM endpoint passes the checks of scim2-tester, and the storage the contract of scim2-server."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_server.testing import ScimStorageContract
from scim2_tester import Status, check_server

from apono_portal.core.web.client import SYSTEM
from apono_portal.scim.caller import Caller
from apono_portal.scim.models import Directory
from apono_portal.scim.protocol import scim_service
from apono_portal.scim.storage import DirectoryStorage
from tests.scim.conftest import TOKEN


@pytest.fixture
def connection_stays_open() -> Iterator[None]:
    """Django closes a request's connection, which is the test's own here."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("connection_stays_open")
def test_every_check_of_the_tester_passes(directory, settings):
    client = WSGISCIMClient(
        get_wsgi_application(),
        base_url=f"{settings.PORTAL_URL}/scim/v2",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    results = check_server(client)
    failed = [(r.title, r.resource_type, r.reason) for r in results if r.status == Status.ERROR]
    assert failed == []
    assert len(results) > 100


class TestStorage(ScimStorageContract):
    supports_root_search = False

    @pytest.fixture
    def storage(self, directory: Directory) -> DirectoryStorage:
        return DirectoryStorage(Caller(directory, "", SYSTEM), locks=True)

    @pytest.fixture
    def provider(self) -> Any:
        return scim_service().provider
