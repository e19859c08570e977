"""Progress of an export: saved while it is written, shown to the user who started it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from apono_portal.core.db.keyset import estimate_count
from audit.events import EventName
from audit.log import export_progress
from audit.log.export_progress import track_progress
from audit.models import Event, ExportProgress
from audit.services import record

TOKEN = uuid4()


@pytest.fixture
def log(db) -> None:
    for _ in range(3):
        record(event=EventName.MFA_VERIFY, actor=None)


def progress_of(client):
    return client.get(f"/audit-log/exports/{TOKEN}/")


def download(client, url: str) -> int:
    return b"".join(client.get(url)).count(b"\n")


@pytest.mark.parametrize("place", ["audit-log", "activity"])
def test_the_page_can_read_the_progress_of_its_export(auditor_client, log, place):
    lines = download(auditor_client, f"/{place}/export.csv?progress={TOKEN}")
    response = progress_of(auditor_client)
    assert response.json() == {"rows": lines, "expected": lines - 1, "finished": True}
    assert response.headers["Cache-Control"] == "no-store"


def test_progress_is_saved_during_the_export(auditor_client, auditor_user, log, monkeypatch):
    monkeypatch.setattr(export_progress, "SAVE_INTERVAL_SECONDS", -1)
    lines = track_progress(iter("abc"), token=TOKEN, actor_id=auditor_user.pk, expected=3)
    assert [next(lines), next(lines)] == ["a", "b"]
    assert progress_of(auditor_client).json() == {"rows": 1, "expected": 3, "finished": False}


def test_progress_is_hidden_from_other_users(auditor_client, admin_client, log):
    download(auditor_client, f"/audit-log/export.jsonl?progress={TOKEN}")
    assert progress_of(admin_client).status_code == 404
    download(admin_client, f"/audit-log/export.csv?progress={TOKEN}")
    assert progress_of(admin_client).status_code == 404


@pytest.mark.parametrize("query", ["", "?progress=", "?progress=x", "?progress=%00"])
def test_without_a_token_nothing_is_saved(auditor_client, log, query):
    assert download(auditor_client, f"/audit-log/export.csv{query}") == 5
    assert not ExportProgress.objects.exists()


def test_progress_is_deleted_after_a_day(auditor_client, log):
    old = timezone.now() - timedelta(hours=25)
    ExportProgress.objects.create(token=uuid4(), actor_id=1, started_at=old)
    download(auditor_client, f"/audit-log/export.csv?progress={TOKEN}")
    assert [progress.token for progress in ExportProgress.objects.all()] == [TOKEN]


def test_many_rows_are_estimated_by_their_keys_or_not_at_all(log, monkeypatch):
    monkeypatch.setattr("apono_portal.core.db.keyset.EXPORT_LIMIT", 2)
    assert estimate_count(Event.objects.all(), is_filtered=False) == 3
    assert estimate_count(Event.objects.all(), is_filtered=True) is None
