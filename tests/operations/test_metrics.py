"""/metrics: for clients that send the token, read from the database, in Prometheus' text format."""

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
def test_without_the_token_there_is_no_such_page(client, settings, sent):
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": sent}).status_code == 404


@pytest.mark.parametrize("sent", ["", "Bearer "])
def test_where_no_token_is_set_nobody_has_it(client, settings, sent):
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": sent}).status_code == 404


def test_prometheus_reads_every_line(client, settings):
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    read = list(text_string_to_metric_families(answer.text))
    assert [family.name for family in read] == [family.name for family in families()]
    assert {family.type for family in read} == {"gauge"}
    assert sum(len(family.samples) for family in read) > 15


def test_requests_that_wait_are_counted_by_status():
    AccessRequestFactory(status=Status.PENDING_APPROVAL)
    AccessRequestFactory(status=Status.EXPIRED)
    figures = values()
    assert figures["portal_requests", "pending_approval"] == 1
    assert figures["portal_requests", "active"] == 0
    assert ("portal_requests", "expired") not in figures


def test_a_grant_past_its_end_is_overdue_until_it_is_contained():
    grant = GrantFactory(deadline=timezone.now() - timedelta(minutes=1))
    figures = values()
    assert figures["portal_grants_overdue",] == 1
    assert 59 < figures["portal_grants_overdue_seconds",] < 70
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.CONTAINED)
    figures = values()
    assert figures["portal_grants_overdue",] == figures["portal_grants_overdue_seconds",] == 0


def test_it_asks_as_often_for_many_rows_as_for_few(django_assert_max_num_queries):
    AccessRequestFactory.create_batch(5)
    assert AccessRequest.objects.count() == 5
    with django_assert_max_num_queries(12):
        values()


def figures_in(document):
    return set(re.findall(r"\bportal_\w+", (ROOT / document).read_text()))


def test_the_documents_speak_of_figures_that_exist():
    known = {family.name for family in families()}
    assert figures_in("docs/grafana-dashboard.json") == known
    assert figures_in("docs/operations.md") < known
