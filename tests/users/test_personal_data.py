"""Download my data: one's own records, all of them, no secrets, and recorded."""

import json

import pytest

from audit.events import EventName
from audit.models import Event
from audit.services import record
from tests.factories import (
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    TokenFactory,
    UserFactory,
)

URL = "/account/data/"


@pytest.fixture
def petra(db):
    return UserFactory(name="Petra Person", email="petra@example.org")


def data_of(client):
    return json.loads(b"".join(client.post(URL).streaming_content))


def test_it_has_everything_about_the_user(petra, verified, admin_user):
    grant = GrantFactory(request=AccessRequestFactory(requester=petra, justification="Backfill"))
    DecisionFactory(approver=petra, reason="Looks right")
    TokenFactory(user=petra, name="Laptop")
    record(event=EventName.USER_CHANGE, actor=admin_user, target=petra)
    data = data_of(verified(petra))
    assert data["profile"][0]["email"] == "petra@example.org"
    assert data["requests"][0]["justification"] == "Backfill"
    assert data["requests"][0]["grants"][0]["resource"] == grant.resource
    assert data["decisions"][0]["reason"] == "Looks right"
    assert data["api_tokens"][0]["name"] == "Laptop"
    assert data["verifications"][0]["outcome"] == "ok"
    assert {row["event"] for row in data["events"]} >= {"user:change", "audit:export"}


def test_it_has_no_secret_and_nothing_of_others(petra, verified, admin_user):
    other = UserFactory(email="olga@example.org")
    AccessRequestFactory(requester=other, justification="Something else")
    record(event=EventName.USER_CHANGE, actor=admin_user, target=other)
    token = TokenFactory(user=petra)
    client = verified(petra)
    text = json.dumps(data_of(client))
    for secret in (petra.password, token.token_hash, client.session.session_key, "session_ref"):
        assert secret not in text
    assert "olga@example.org" not in text
    assert "Something else" not in text


def test_an_admins_address_is_left_out(petra, signed_in, admin_client):
    admin_client.post(f"/users/{petra.pk}/invite/", REMOTE_ADDR="10.7.7.7")
    assert "10.7.7.7" not in json.dumps(data_of(signed_in(petra)))


def test_it_is_recorded(petra, signed_in):
    data_of(signed_in(petra))
    event = Event.objects.get(event="audit:export")
    assert (event.actor_id, event.metadata["what"]) == (petra.pk, "own data")


def test_only_a_button_downloads_it(petra, signed_in, client):
    assert signed_in(petra).get(URL).status_code == 405
    assert client.post(URL).status_code == 302
