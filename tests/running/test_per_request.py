"""What every request costs is paid once where it is always the same, and stays right."""

import pytest
from csp.middleware import CSPMiddleware
from django.db import connection, connections
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import override_settings

from apono_portal.headers import ContentSecurityPolicyMiddleware
from apono_portal.static_files import StaticFiles

POLICY = "Content-Security-Policy"


def answers(*responses, policy_class=ContentSecurityPolicyMiddleware):
    waiting = iter(responses)
    middleware = policy_class(lambda request: next(waiting))
    return [middleware(RequestFactory().get("/")).headers[POLICY] for _ in responses]


def test_the_policy_is_the_librarys_again_and_again():
    [library] = answers(HttpResponse(), policy_class=CSPMiddleware)
    assert answers(HttpResponse(), HttpResponse(), HttpResponse()) == [library] * 3
    assert "default-src 'none'" in library


def test_an_answer_with_a_policy_of_its_own_keeps_it_and_lends_it_to_nobody():
    own = HttpResponse()
    own._csp_replace = {"img-src": ["https://example.org"]}
    usual, special, after = answers(HttpResponse(), own, HttpResponse())
    assert "https://example.org" in special
    assert after == usual
    assert "https://example.org" not in usual


def test_an_address_of_a_static_file_is_made_once(tmp_path):
    with override_settings(DEBUG=False, STATIC_ROOT=str(tmp_path)):
        files = StaticFiles()
        files.hashed_files = {"css/page.css": "css/page.0123456789ab.css"}
        first = files.url("css/page.css")
        files.hashed_files = {}
        assert files.url("css/page.css") == first
    assert first.endswith("css/page.0123456789ab.css")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_a_kept_connection_that_the_server_ended_is_noticed():
    ours, other = connections["default"], connections["default"].copy()
    ours.ensure_connection()
    assert ours.is_usable()
    pid = ours.connection.info.backend_pid
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()
    assert not ours.is_usable()
    ours.close()
    assert not ours.is_usable()
    ours.ensure_connection()
    assert ours.is_usable()
