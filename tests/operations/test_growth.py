"""Pages stay quick with large tables: few queries, each with an index."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.events import EventName
from audit.services import record
from bench.speed.dataset import BLOCK, make_block, make_flows
from bench.speed.query_report import (
    MAX_STATEMENTS,
    MAX_STATEMENTS_OF,
    PAGES,
    scans_of,
    statements_in,
)
from requests_app.models import AccessRequest, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    GroupFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

each_page = pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)


@pytest.fixture
def populated(admin_user):
    """Create rows for everything an admin sees."""
    for status in (Status.PENDING_APPROVAL, Status.EXPIRED, Status.REVOKED):
        AccessRequestFactory(requester=admin_user, status=status)
    GrantFactory(request=AccessRequestFactory(requester=admin_user, status=Status.ACTIVE))
    owners = GroupFactory(members=[admin_user, UserFactory()])
    flow = AccessFlowFactory(approval="any_of", approver_groups=[owners], targets=1)
    AccessRequestFactory.create_batch(2, flow=flow, status=Status.PENDING_APPROVAL)
    record(event=EventName.MFA_VERIFY, actor=admin_user)


@pytest.mark.parametrize("page", PAGES)
def test_page_needs_few_queries(admin_client, populated, questions_of, page):
    admin_client.get(PAGES[page])
    limit = MAX_STATEMENTS_OF.get(page, MAX_STATEMENTS)
    assert questions_of(admin_client, PAGES[page]) <= limit


@each_page
def test_every_query_of_a_page_has_an_index(admin_client, populated, address):
    """With sequential scans disabled, PostgreSQL uses one only where there is no index."""
    if connection.vendor != "postgresql":
        pytest.skip("the plans are PostgreSQL's")
    with CaptureQueriesContext(connection) as queries:
        assert admin_client.get(address).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert scans_of(cursor, statements_in(queries)) == {}


def test_the_data_set_of_the_benchmark_fits_the_models():
    make_block(make_flows(), timezone.now(), timedelta(minutes=1))
    assert AccessRequest.objects.count() == BLOCK
