"""The audit log as CSV."""

import csv
import io

import pytest
from django.urls import reverse

from audit.events import EventName
from audit.export import harmless
from audit.services import record

pytestmark = pytest.mark.django_db


def exported(client, query: str = "") -> list[dict[str, str]]:
    answer = client.get(reverse("audit:export") + query)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_export_holds_what_the_filters_ask_for(auditor_client, admin_user):
    record(event=EventName.SESSION_SIGN_IN, actor=admin_user, metadata={"key": "värde"})
    record(event=EventName.SESSION_SIGN_OUT, actor=admin_user)
    [row] = exported(auditor_client, "?event=session:sign_in")
    assert row["actor"] == "Ada Admin <ada@example.org>"
    assert row["metadata"] == '{"key": "värde"}'


def test_the_export_goes_on_past_its_chunk(auditor_client, monkeypatch):
    monkeypatch.setattr("audit.selectors.EXPORT_CHUNK", 2)
    numbers = [record(event=EventName.SESSION_SIGN_IN, actor=None).pk for _ in range(5)]
    assert [int(row["event_id"]) for row in exported(auditor_client)] == numbers


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start):
    assert harmless(f"{start}cmd|' /C calc'!A0").startswith("'")


def test_a_name_that_is_a_formula_comes_out_harmless(auditor_client, admin_user):
    admin_user.name = '=HYPERLINK("http://example.org","x")'
    record(event=EventName.SESSION_SIGN_IN, actor=admin_user)
    [row] = exported(auditor_client)
    assert row["actor"].startswith("'=HYPERLINK")


def test_the_export_is_not_kept_by_browsers(auditor_client):
    answer = auditor_client.get(reverse("audit:export"))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
