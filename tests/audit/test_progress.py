"""How far an export has come: noted as it is written, told to whoever began it."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from apono_portal.core.db.keyset import estimate_count
from audit.events import EventName
from audit.log import export_progress
from audit.log.export_progress import followed
from audit.models import Event, ExportProgress
from audit.services import record

TOKEN = uuid4()


@pytest.fixture
def log(db) -> None:
    for _ in range(3):
        record(event=EventName.MFA_VERIFY, actor=None)


def seen(client):
    return client.get(f"/audit-log/exports/{TOKEN}/")


def taken(client, address: str) -> int:
    return b"".join(client.get(address)).count(b"\n")


@pytest.mark.parametrize("place", ["audit-log", "activity"])
def test_the_page_can_ask_how_far_its_export_is(auditor_client, log, place):
    lines = taken(auditor_client, f"/{place}/export.csv?progress={TOKEN}")
    told = seen(auditor_client)
    assert told.json() == {"rows": lines, "expected": lines - 1, "finished": True}
    assert told.headers["Cache-Control"] == "no-store"


def test_it_is_told_while_it_lasts(auditor_client, auditor_user, log, monkeypatch):
    monkeypatch.setattr(export_progress, "NOTED_EVERY_S", -1)
    lines = followed(iter("abc"), token=TOKEN, actor_id=auditor_user.pk, expected=3)
    assert [next(lines), next(lines)] == ["a", "b"]
    assert seen(auditor_client).json() == {"rows": 1, "expected": 3, "finished": False}


def test_it_is_told_to_nobody_else(auditor_client, admin_client, log):
    taken(auditor_client, f"/audit-log/export.jsonl?progress={TOKEN}")
    assert seen(admin_client).status_code == 404
    taken(admin_client, f"/audit-log/export.csv?progress={TOKEN}")
    assert seen(admin_client).status_code == 404


@pytest.mark.parametrize("query", ["", "?progress=", "?progress=x", "?progress=%00"])
def test_without_a_token_nothing_is_noted(auditor_client, log, query):
    assert taken(auditor_client, f"/audit-log/export.csv{query}") == 5
    assert not ExportProgress.objects.exists()


def test_what_was_noted_goes_after_a_day(auditor_client, log):
    old = timezone.now() - timedelta(hours=25)
    ExportProgress.objects.create(token=uuid4(), actor_id=1, begun_at=old)
    taken(auditor_client, f"/audit-log/export.csv?progress={TOKEN}")
    assert [each.token for each in ExportProgress.objects.all()] == [TOKEN]


def test_many_rows_are_judged_by_their_keys_or_not_at_all(log, monkeypatch):
    monkeypatch.setattr("apono_portal.core.db.keyset.COUNTED", 2)
    assert estimate_count(Event.objects.all(), filtered=False) == 3
    assert estimate_count(Event.objects.all(), filtered=True) is None
