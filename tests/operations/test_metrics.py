"""/metrics: for clients with the token, read from the database, in Prometheus' text format."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apono_portal.observability.metrics import PortalCollector
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.architecture.sources import ROOT
from tests.factories import AccessRequestFactory, GrantFactory

pytestmark = pytest.mark.django_db

TOKEN = "token-of-the-tests"


def families():
    return list(PortalCollector(timezone.now()).collect())


def values():
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families()
        for sample in family.samples
    }


@pytest.mark.parametrize("sent", ["", "Bearer ", "Bearer wrong", TOKEN, f"Basic {TOKEN}"])
def test_metrics_need_the_token(client, settings, sent):
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": sent}).status_code == 404


@pytest.mark.parametrize("sent", ["", "Bearer "])
def test_metrics_are_off_without_a_token(client, settings, sent):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": sent}).status_code == 404


def test_output_is_valid_prometheus_text(client, settings):
    settings.METRICS_TOKEN = TOKEN
    response = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    parsed = list(text_string_to_metric_families(response.text))
    assert [family.name for family in parsed] == [family.name for family in families()]
    assert {family.type for family in parsed} == {"gauge"}
    assert sum(len(family.samples) for family in parsed) > 15


def test_pending_requests_are_counted_by_status():
    AccessRequestFactory(status=Status.PENDING_APPROVAL)
    AccessRequestFactory(status=Status.EXPIRED)
    metrics = values()
    assert metrics["portal_requests", "pending_approval"] == 1
    assert metrics["portal_requests", "active"] == 0
    assert ("portal_requests", "expired") not in metrics


def test_expired_grant_is_overdue_until_it_is_contained():
    grant = GrantFactory(deadline=timezone.now() - timedelta(minutes=1))
    metrics = values()
    assert metrics["portal_grants_overdue",] == 1
    assert 59 < metrics["portal_grants_overdue_seconds",] < 70
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.CONTAINED)
    metrics = values()
    assert metrics["portal_grants_overdue",] == metrics["portal_grants_overdue_seconds",] == 0


def test_query_count_does_not_depend_on_rows(django_assert_max_num_queries):
    AccessRequestFactory.create_batch(5)
    assert AccessRequest.objects.count() == 5
    with django_assert_max_num_queries(16):
        values()


def metrics_in(document):
    return set(re.findall(r"\bportal_\w+", (ROOT / document).read_text()))


def test_documents_name_existing_metrics():
    names = {family.name for family in families()}
    assert metrics_in("docs/grafana-dashboard.json") == names
    assert metrics_in("docs/operations.md") < names
