"""Activity, the audit log and the directory, as auditors read them."""

import json

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.models import Event
from audit.services import record
from tests.factories import AccessFlowFactory, AccessRequestFactory, GroupFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_events_are_listed_newest_first_by_cursor(api_of, auditor_user):
    for _ in range(30):
        record(event=EventName.SESSION_SIGN_IN, actor=auditor_user)
    client = api_of(auditor_user)
    first = client.get("/audit-log?event=session:sign_in").json()
    second = client.get(f"/audit-log?cursor={first['next_cursor']}").json()
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert len(ids) == 30
    assert ids == sorted(ids, reverse=True)


def test_an_export_is_complete_and_recorded_with_the_token(api_of, auditor_user):
    request = AccessRequestFactory()
    client = api_of(auditor_user, name="siem")
    lines = client.get("/activity/export").getvalue().decode().splitlines()
    assert [json.loads(line)["request"] for line in lines] == [request.reference]
    csv = client.get("/audit-log/export?file_format=csv").getvalue().decode("utf-8-sig")
    assert csv.startswith("event_id,")
    events = Event.objects.filter(event=EventName.AUDIT_EXPORT)
    assert [event.metadata["token"]["name"] for event in events] == ["siem", "siem"]


def test_activity_has_the_evidence(api_of, auditor_user):
    flow = AccessFlowFactory(require_mfa=True, targets=1)
    request = AccessRequestFactory(flow=flow)
    [item] = api_of(auditor_user).get("/activity?mfa=verified").json()["items"]
    assert item["request"] == request.reference
    assert item["mfa_with"] == "Authentication app"


@pytest.mark.parametrize("query", ["since=yesterday", "status=unknown", "request=x%00"])
def test_a_filter_that_cannot_be_read_is_a_problem(api_of, auditor_user, query):
    response = api_of(auditor_user).get(f"/activity?{query}")
    assert response.status_code == 422
    assert response.json()["code"] == "invalid"


def test_the_directory_is_read(api_of, auditor_user):
    group = GroupFactory(name="Analysts", members=[UserFactory(name="Zoe Zander")])
    flow = AccessFlowFactory(requester_groups=[group], targets=1)
    client = api_of(auditor_user)
    [user] = client.get("/users?q=zander").json()["items"]
    assert user["groups"] == ["Analysts"]
    assert client.get(f"/users/{user['id']}").json() == user
    assert client.get("/groups").json()["items"][0]["active_members"] == 1
    assert client.get(f"/flows/{flow.pk}").json()["requesters"] == ["Group is Analysts"]
    assert client.get("/flows").json()["items"][0]["id"] == flow.pk
    assert client.get("/integrations").json()["items"][0]["resources"] == 1


def test_a_list_asks_the_database_as_often_for_many_rows(api_of, auditor_user, time_machine):
    """The first call of a token in a minute asks once more, so no minute ends here."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    time_machine.move_to(timezone.now(), tick=False)
    client = api_of(auditor_user)

    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        return len(captured)

    client.get("/me")
    paths = ("/activity", "/users", "/flows", "/integrations", "/groups", "/audit-log")
    for _ in range(2):
        AccessRequestFactory(flow=AccessFlowFactory(targets=2))
        GroupFactory(members=[UserFactory()])
    few = [queries(path) for path in paths]
    for _ in range(8):
        AccessRequestFactory(flow=AccessFlowFactory(targets=2))
        GroupFactory(members=[UserFactory()])
    assert [queries(path) for path in paths] == few
