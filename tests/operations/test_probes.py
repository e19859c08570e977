"""Probes of load balancers and Kubernetes send an address for a host name, over plain HTTP."""

import pytest

pytestmark = pytest.mark.anywhere


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.django_db(transaction=True)
def test_probes_are_answered_whatever_the_host(client, settings, path):
    settings.ALLOWED_HOSTS = ["access.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    settings.PORTAL_URL = "https://access.example.org"
    assert client.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200
    assert client.get("/", headers={"host": "10.1.2.3:8000"}).status_code == 400
