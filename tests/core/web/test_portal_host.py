"""127.0.0.1 leads to localhost where the portal's address is that."""

import pytest
from django.test import Client

BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def on_8000(settings):
    settings.PORTAL_URL = "http://localhost:8000"


def test_ip_address_redirects_to_the_name_with_its_path(on_8000):
    response = Client(HTTP_HOST="127.0.0.1:8000", **BROWSER).get("/sign-in/?next=/requests/")
    assert (response.status_code, response["Location"]) == (
        302,
        "http://localhost:8000/sign-in/?next=/requests/",
    )


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example"])
def test_it_never_leads_elsewhere(on_8000, path):
    response = Client(HTTP_HOST="127.0.0.1:8000", **BROWSER).get(path)
    assert response.get("Location", "http://localhost:8000/").startswith("http://localhost:8000/")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:9000"])
@pytest.mark.django_db
def test_no_other_address_is_redirected(on_8000, host):
    assert Client(HTTP_HOST=host, **BROWSER).get("/sign-in/").status_code == 200


@pytest.mark.django_db
def test_forms_are_not_redirected(on_8000):
    assert Client(HTTP_HOST="127.0.0.1:8000").post("/sign-in/", {}).status_code == 422


@pytest.mark.django_db
def test_a_program_is_answered_at_either_address(on_8000):
    for accept in ({}, {"HTTP_ACCEPT": "*/*"}):
        client = Client(HTTP_HOST="127.0.0.1:8000", **accept)
        assert client.get("/sign-in/").status_code == 200
