"""The Audit Log page shows the last signed checkpoint, where it went, and offers it for download."""

import pytest
from django.utils import timezone

from audit.events import EventName
from audit.integrity.checkpoint_destinations import send_checkpoints
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.signed_checkpoints import CheckpointSigner
from audit.models import SignedCheckpoint
from audit.services import record

pytestmark = pytest.mark.django_db


def page_of(client) -> str:
    return " ".join(client.get("/audit-log/").text.split())


@pytest.fixture
def signed(worker_key, auditor_client) -> SignedCheckpoint:
    record(event=EventName.SESSION_SIGN_IN, actor=None)
    write_checkpoints(timezone.now())
    CheckpointSigner()(timezone.now())
    return SignedCheckpoint.objects.get()


def test_without_a_key_the_page_says_so(auditor_client):
    assert "No signed checkpoint yet." in page_of(auditor_client)
    assert auditor_client.get("/audit-log/checkpoint/").status_code == 404


def test_the_last_signed_checkpoint_is_shown_and_downloaded(auditor_client, signed):
    page = page_of(auditor_client)
    assert f"Signed checkpoint of {signed.size} event" in page
    assert "Checkpoints are not sent anywhere." in page
    response = auditor_client.get("/audit-log/checkpoint/")
    assert response.text == signed.note
    assert f'filename="audit-checkpoint-{signed.size}.txt"' in response["Content-Disposition"]


def test_members_get_no_checkpoint(member_client, signed):
    response = member_client.get("/audit-log/checkpoint/")
    assert response.status_code in {403, 404}
    assert signed.note not in response.text


def test_the_page_shows_where_it_went_and_where_not(auditor_client, signed, settings, tmp_path):
    settings.AUDIT_CHECKPOINT_FILE = str(tmp_path / "checkpoints.txt")
    settings.AUDIT_CHECKPOINT_SYSLOG = "tcp://127.0.0.1:9"
    send_checkpoints(timezone.now())
    page = page_of(auditor_client)
    assert f"{tmp_path}/checkpoints.txt on" in page
    assert f"{signed.size} event" in page
    assert "Syslog tcp://127.0.0.1:9: <span" in page
    assert "1 failed attempt. The syslog server did not accept it" in page


def test_the_verifier_is_offered_as_one_file(auditor_client):
    response = auditor_client.get("/audit-log/verifier/")
    assert response.content.startswith(b"PK")
    assert "verify-export.pyz" in response["Content-Disposition"]
