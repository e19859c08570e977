"""/metrics: told to who sends the token, from the database, in Prometheus' own words."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from apono_portal.observability.metrics import Gauge, exposition
from requests_app.models import AccessRequest, Grant, GrantState, Status
from tests.architecture.sources import ROOT
from tests.factories import AccessRequestFactory, GrantFactory

pytestmark = pytest.mark.django_db

TOKEN = "token-of-the-tests"
LINE = re.compile(r'(# (HELP|TYPE) portal_\w+ .+)|(portal_\w+(\{\w+="[^"]*"\})? [0-9.e+-]+)')


def values():
    lines = exposition(timezone.now()).splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))


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
    lines = answer.text.splitlines()
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    assert len(lines) > 30


def test_requests_that_wait_are_counted_by_status():
    AccessRequestFactory(status=Status.PENDING_APPROVAL)
    AccessRequestFactory(status=Status.EXPIRED)
    told = values()
    assert told['portal_requests{status="pending_approval"}'] == "1"
    assert told['portal_requests{status="active"}'] == "0"
    assert 'portal_requests{status="expired"}' not in told


def test_a_grant_past_its_end_is_overdue_until_it_is_contained():
    grant = GrantFactory(deadline=timezone.now() - timedelta(minutes=1))
    told = values()
    assert told["portal_grants_overdue"] == "1"
    assert 59 < float(told["portal_grants_overdue_seconds"]) < 70
    Grant.objects.filter(pk=grant.pk).update(state=GrantState.CONTAINED)
    told = values()
    assert (told["portal_grants_overdue"], told["portal_grants_overdue_seconds"]) == ("0", "0")


def test_it_asks_as_often_for_many_rows_as_for_few(django_assert_max_num_queries):
    AccessRequestFactory.create_batch(5)
    assert AccessRequest.objects.count() == 5
    with django_assert_max_num_queries(12):
        values()


def test_a_label_cannot_break_the_line():
    [*_, line] = Gauge("portal_x", "x", [({"a": 'b"\n\\'}, 1)]).lines()
    assert line == r'portal_x{a="b\"\n\\"} 1'


def told_of_in(document):
    return set(re.findall(r"\bportal_\w+", (ROOT / document).read_text()))


def test_the_documents_speak_of_figures_that_exist():
    known = set(re.findall(r"^# TYPE (\w+)", exposition(timezone.now()), re.MULTILINE))
    assert told_of_in("docs/grafana-dashboard.json") == known
    assert told_of_in("docs/operations.md") < known
