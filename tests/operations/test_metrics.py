"""/metrics: for clients with the token, read from the database, in Prometheus' text format."""

import re
from datetime import timedelta

import pytest
import yaml
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from apono_portal.observability.metrics import PortalCollector
from apono_portal.observability.request_durations import VIEW_CLASSES
from audit.events import EventName
from audit.services import record
from requests_app.models import (
    AccessRequest,
    Grant,
    GrantState,
    Status,
    TargetScan,
    WorkerHeartbeat,
)
from tests.architecture.sources import ROOT
from tests.factories import AccessRequestFactory, GrantFactory, IntegrationFactory

pytestmark = pytest.mark.django_db

TOKEN = "token-of-the-tests"
DURATIONS = "portal_request_duration_seconds"


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
    names = [family.name for family in families()]
    gauges, histogram = parsed[: len(names)], parsed[len(names)]
    assert [family.name for family in gauges] == names
    assert {family.type for family in gauges} == {"gauge"}
    assert (histogram.name, histogram.type) == (DURATIONS, "histogram")
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
    with django_assert_max_num_queries(15):
        values()


def test_durations_are_counted_by_class_of_view(client, settings):
    settings.METRICS_TOKEN = TOKEN
    for path in ("/sign-in/", "/nowhere/1/", "/nowhere/2/"):
        client.get(path)
    text = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    views = set(re.findall(rf'{DURATIONS}_count{{view="(\w+)"}}', text))
    assert {"sign_in", "page"} <= views
    assert views <= {*VIEW_CLASSES.values(), "page", "action"}


def metrics_in(document):
    text = (ROOT / document).read_text()
    return {name.removesuffix("_bucket") for name in re.findall(r"\bportal_\w+", text)}


def test_documents_name_existing_metrics():
    names = {family.name for family in families()} | {DURATIONS}
    assert metrics_in("docs/grafana-dashboard.json") == names
    assert metrics_in("docs/operations.md") < names


def rules():
    text = (ROOT / "deploy/alerts.yaml").read_text()
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_alert_rules_use_existing_metrics_and_are_in_the_runbook():
    names = {family.name for family in families()} | {DURATIONS, f"{DURATIONS}_bucket", "up"}
    headings = re.findall(r"^### (\w+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    assert [rule["alert"] for rule in rules()] == headings
    for rule in rules():
        used = set(re.findall(r"\b(portal_\w+|up)\b", rule["expr"]))
        assert used
        assert used <= names, rule["alert"]
        assert re.search(r" (>|==) \d+\b", rule["expr"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"


def test_alert_rules_use_existing_label_values():
    labels = {
        (family.name, label, value)
        for family in families()
        for sample in family.samples
        for label, value in sample.labels.items()
    }
    for rule in rules():
        for name, label, value in re.findall(r'(portal_\w+){(\w+)="(\w+)"}', rule["expr"]):
            assert (name, label, value) in labels


def test_sign_ins_and_codes_are_counted_by_outcome():
    record(event=EventName.SESSION_SIGN_IN_FAIL, actor=None)
    record(event=EventName.MFA_VERIFY, actor=None)
    metrics = values()
    assert metrics["portal_recent_sign_ins", "failure"] == 1
    assert metrics["portal_recent_sign_ins", "success"] == 0
    assert metrics["portal_recent_codes", "success"] == 1


def test_ages_of_queues_workers_and_scans():
    now = timezone.now()
    AccessRequestFactory(status=Status.GRANTING, status_changed_at=now - timedelta(minutes=7))
    WorkerHeartbeat.objects.create(name="w:1", seen_at=now - timedelta(seconds=20))
    integration = IntegrationFactory()
    TargetScan.objects.create(integration=integration, seconds=1.5)
    metrics = values()
    assert 420 <= metrics["portal_requests_oldest_seconds", "granting"] < 440
    assert 20 <= metrics["portal_worker_heartbeat_age_seconds",] < 40
    assert metrics["portal_workers",] == 1
    assert metrics["portal_target_scan_seconds", integration.name] == 1.5
