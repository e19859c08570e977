"""The committed OpenAPI document is that of the code."""

import json

import pytest

from apono_portal.api.v1.operations import openapi_document
from tests.architecture.sources import ROOT

COMMITTED = ROOT / "docs" / "openapi.json"


def test_the_committed_document_is_that_of_the_code():
    """`make openapi` writes it."""
    assert json.loads(COMMITTED.read_text()) == json.loads(json.dumps(openapi_document()))


def test_every_operation_documents_its_errors_as_problems():
    for path, operations in openapi_document()["paths"].items():
        for operation in operations.values():
            for status in ("401", "403", "422", "429"):
                response = operation["responses"].get(status) or operation["responses"][int(status)]
                assert list(response["content"]) == ["application/problem+json"], path


@pytest.mark.django_db
def test_the_reference_shows_every_operation(member_client):
    page = member_client.get("/api/docs/").content.decode()
    for path in openapi_document()["paths"]:
        assert path in page
    assert "<script src" not in page


@pytest.mark.django_db
def test_what_is_no_operation_is_a_problem_too(client):
    response = client.get("/api/v1/nothing/here")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
