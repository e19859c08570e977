"""The SCIM endpoint passes the checks of scim2-tester, and the storage the contract of scim2-server."""

from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_server.testing import ScimStorageContract
from scim2_tester import Status, check_server

from apono_portal.core.web.client import SYSTEM
from apono_portal.scim.caller import Caller
from apono_portal.scim.models import Directory
from apono_portal.scim.protocol import scim_service
from apono_portal.scim.storage import DirectoryStorage
from apono_portal.wsgi import application
from tests.scim.conftest import TOKEN


def test_every_check_of_the_tester_passes(directory):
    client = WSGISCIMClient(
        application,
        base_url="http://testserver/scim/v2",
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    results = check_server(client)
    failed = [(r.title, r.resource_type, r.reason) for r in results if r.status == Status.ERROR]
    assert failed == []
    assert len(results) > 100


class TestStorage(ScimStorageContract):
    @pytest.fixture
    def storage(self, directory: Directory) -> DirectoryStorage:
        return DirectoryStorage(Caller(directory, "", SYSTEM), locks=True)

    @pytest.fixture
    def provider(self) -> Any:
        return scim_service().provider
