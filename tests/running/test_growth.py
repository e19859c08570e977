"""Pages stay as quick when the tables have grown: few questions, each with an index to answer it."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.events import EventName
from audit.services import record
from requests_app.models import Status
from tests.factories import AccessRequestFactory, GrantFactory

pytestmark = pytest.mark.django_db

MOST_QUESTIONS = 12
GROWING = "users_user|requests_app_accessrequest|requests_app_grant|requests_app_requestedtarget|requests_app_decision|audit_event|audit_sealedevent|audit_delivery|mfa_verification|django_session"
SCAN = re.compile(rf"Seq Scan on ({GROWING})\b")
PAGES = {
    "my access": "/",
    "my requests": "/requests/",
    "new request": "/requests/new/",
    "approvals": "/approvals/",
    "users": "/users/",
    "users with search": "/users/?q=pet+exa",
    "activity": "/activity/",
    "audit log": "/audit-log/",
    "audit log with filters": "/audit-log/?event=mfa:verify",
}
each_page = pytest.mark.parametrize("address", PAGES.values(), ids=PAGES)


@pytest.fixture
def crowded(admin_user):
    """Something of everything an admin sees."""
    for status in (Status.PENDING_APPROVAL, Status.EXPIRED, Status.REVOKED):
        AccessRequestFactory(requester=admin_user, status=status)
    GrantFactory(request=AccessRequestFactory(requester=admin_user, status=Status.ACTIVE))
    record(event=EventName.MFA_VERIFY, actor=admin_user)


@each_page
def test_a_page_asks_few_questions(admin_client, crowded, questions_of, address):
    admin_client.get(address)
    assert questions_of(admin_client, address) <= MOST_QUESTIONS


@each_page
def test_every_question_of_a_page_has_an_index_to_answer_it(admin_client, crowded, address):
    """With sequential scans made dear the planner takes one only where there is no other way."""
    if connection.vendor != "postgresql":
        pytest.skip("the plans are PostgreSQL's")
    with CaptureQueriesContext(connection) as asked:
        assert admin_client.get(address).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        scans = {}
        for query in asked:
            if query["sql"].startswith(("SELECT", "WITH", "(SELECT")):
                cursor.execute(f"EXPLAIN {query['sql']}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
                scans |= dict.fromkeys(SCAN.findall(plan), query["sql"][:400])
    assert scans == {}
