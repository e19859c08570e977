"""A login seen on a target leads to its user: a page, two searches, the exports, and the comment."""

import json

import pytest
from django.utils import timezone

from accessflows.connectors.protocol import login_of
from audit.events import EventName
from audit.services import record
from requests_app.models import Grant, GrantState
from tests.factories import AccessRequestFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant() -> Grant:
    requester = UserFactory(name="Irma Solberg", email="irma@example.org")
    request = AccessRequestFactory(requester=requester, verified_with="Aegis on Pixel 8")
    grant = GrantFactory(request=request, state=GrantState.REMOVED, contained_at=timezone.now())
    Grant.objects.filter(pk=grant.pk).update(login=login_of(grant.pk), login_mark="16999")
    grant.refresh_from_db()
    record(
        event=EventName.GRANT_CONTAIN,
        actor=None,
        target=grant,
        request=request,
        metadata={"login": grant.login, "sessions_terminated": 3},
    )
    return grant


def test_the_page_leads_to_user_request_and_what_became_of_it(grant, auditor_client):
    page = auditor_client.get(f"/logins/{grant.login}/").content.decode()
    for text in (
        "Irma Solberg &lt;irma@example.org&gt;",
        f'href="/requests/{grant.request.reference}/"',
        grant.request.flow_name,
        str(grant),
        "<dt>Sessions terminated</dt><dd>3</dd>",
        f"/audit-log/?text={grant.login}",
    ):
        assert text in page


def test_requesters_see_their_own_login_only(grant, client):
    client.force_login(grant.request.requester)
    assert client.get(f"/logins/{grant.login}/").status_code == 200
    client.force_login(UserFactory())
    assert client.get(f"/logins/{grant.login}/").status_code == 404


@pytest.mark.parametrize("name", ["jit_", "postgres", "jit_" + "a" * 26, "jit_" + "!" * 26])
def test_a_name_that_is_no_login_is_not_found(admin_client, name):
    assert admin_client.get(f"/logins/{name}/").status_code == 404


def test_activity_and_audit_log_find_it(grant, auditor_client):
    other = GrantFactory()
    for event_of in (other, grant):
        record(event=EventName.GRANT_REVEAL, actor=None, target=event_of, request=event_of.request)
    listed = auditor_client.get(f"/activity/?request={grant.login}").context["page"].rows
    assert [request.pk for request in listed] == [grant.request_id]
    events = auditor_client.get(f"/audit-log/?text={grant.login}").context["page"].rows
    assert {event.target_id for event in events} == {str(grant.pk)}
    assert len(events) == 2
    opened = events[-1].pk
    page = auditor_client.get(f"/audit-log/?text={grant.login}&open={opened}").content.decode()
    assert f'href="/logins/{grant.login}/"' in page


def test_exports_have_it(grant, auditor_client):
    response = auditor_client.get("/activity/export.jsonl")
    rows = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert [row["logins"] for row in rows if "logins" in row] == [[grant.login]]


def test_pages_that_show_it_link_to_it(grant, auditor_client):
    link = f'href="/logins/{grant.login}/"'
    assert link in auditor_client.get(f"/requests/{grant.request.reference}/").content.decode()
    activity = auditor_client.get(f"/activity/?open={grant.request_id}").content.decode()
    assert link in activity


@pytest.mark.target
def test_the_comment_on_the_role_names_the_request(real_flow):
    grant = real_flow.active_grant()
    [(comment,)] = real_flow.pg.ask(
        "SELECT shobj_description(%s::regrole, 'pg_authid')", [grant.login]
    )
    assert json.loads(comment)["request"] == grant.request.reference
