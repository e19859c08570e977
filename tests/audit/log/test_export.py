"""Exports of the audit log: CSV for people, JSON Lines for the verifier."""

import csv
import io
import json
import tracemalloc
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.crypto.keyring import chain_keys
from apono_portal.core.db import keyset
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.records import event_record
from audit.integrity.retention import prune_log
from audit.log.export import escape_formula, export_lines
from audit.log.selectors import EventFilter
from audit.models import Event
from audit.services import record
from audit.verify_export.formats import FIELDS, hash_of, records_in
from audit.verify_export.verifier import Verifier

pytestmark = pytest.mark.django_db


def text_of(client, form: str, query: str = "") -> str:
    answer = client.get(reverse(f"audit:export_{form}") + query)
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].endswith(f'.{form}"')
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def table(client, query: str = "") -> list[dict[str, str]]:
    text = text_of(client, "csv", query)
    return [
        row
        for row in csv.DictReader(io.StringIO(text, newline=""))
        if row["event"] != "audit:export"
    ]


def lines(client, query: str = "") -> list[dict]:
    return [json.loads(line) for line in text_of(client, "jsonl", query).splitlines()]


def test_the_export_holds_the_events_that_match_the_filters(auditor_client, admin_user):
    record(event=EventName.SESSION_SIGN_IN, actor=admin_user, metadata={"key": "värde"})
    record(event=EventName.SESSION_SIGN_OUT, actor=admin_user)
    [row] = table(auditor_client, "?event=session:sign_in")
    assert row["actor"] == "Ada Admin <ada@example.org>"
    assert row["metadata"] == '{"key": "värde"}'
    [line] = [
        record for record in lines(auditor_client, "?actor=ada&text=") if record["kind"] == "event"
    ][:1]
    assert line["metadata"] == {"key": "värde"}


def test_excel_is_told_that_the_file_is_utf_8(auditor_client):
    answer = auditor_client.get(reverse("audit:export_csv"))
    assert b"".join(answer.streaming_content).startswith(b"\xef\xbb\xbfevent_id,")


@pytest.mark.parametrize("query", ["", "?event=session:sign_in"])
def test_every_json_line_begins_with_its_time_and_still_verifies(auditor_client, query):
    record(event=EventName.SESSION_SIGN_IN, actor=None)
    write_checkpoints(timezone.now())
    text = text_of(auditor_client, "jsonl", query)
    *timed, end = [next(iter(json.loads(line))) for line in text.splitlines()]
    assert set(timed) <= {"at", "created_at", "made_at"}
    assert end == "kind"
    assert check(text).ok


@pytest.mark.parametrize("query", ["", "?event=session:sign_in"])
def test_the_export_continues_after_a_batch(auditor_client, monkeypatch, query):
    monkeypatch.setattr(keyset, "BATCH_SIZE", 2)
    monkeypatch.setattr("audit.integrity.records.CHUNK_SIZE", 2)
    numbers = [record(event=EventName.SESSION_SIGN_IN, actor=None).pk for _ in range(5)]
    write_checkpoints(timezone.now())
    assert [int(row["event_id"]) for row in table(auditor_client, query)] == numbers
    ids = [record["id"] for record in lines(auditor_client, query) if record["kind"] == "event"]
    assert ids[:5] == numbers


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_is_recorded(auditor_client, auditor_user, form):
    text_of(auditor_client, form, "?actor=ada")
    event = Event.objects.get()
    assert (event.event, event.actor_id) == (EventName.AUDIT_EXPORT, auditor_user.pk)
    assert event.metadata == {
        "what": "audit log",
        "format": form,
        "filters": {"actor": "ada"},
        "rows": "0 rows",
    }
    assert event.address == "127.0.0.1"


def test_a_head_request_is_not_an_export(auditor_client):
    assert auditor_client.head(reverse("audit:export_csv")).status_code == 405
    assert not Event.objects.exists()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start):
    assert escape_formula(f"{start}cmd|' /C calc'!A0").startswith("'")


def test_a_name_that_is_a_formula_is_escaped(auditor_client, admin_user):
    admin_user.name = '=HYPERLINK("http://example.org","x")'
    record(event=EventName.SESSION_SIGN_IN, actor=admin_user)
    [row] = table(auditor_client)
    assert row["actor"].startswith("'=HYPERLINK")


@pytest.mark.parametrize(("form", "kind"), [("csv", "text/csv"), ("jsonl", "application/jsonl")])
def test_browsers_do_not_cache_the_export(auditor_client, form, kind):
    answer = auditor_client.get(reverse(f"audit:export_{form}"))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"


def verified(member, number: int) -> Event:
    return record(
        event=EventName.MFA_VERIFY,
        actor=member,
        client_info=ClientInfo("192.0.2.7", "Firefox"),
        metadata={"verification": number, "authenticator": "Aegis on Pixel 8"},
    )


@pytest.mark.parametrize("query", ["", "?event=request:approve"])
def test_an_event_names_the_verification_behind_it(auditor_client, member_user, query):
    """Even if the verification does not match the filters."""
    with time_machine.travel(timezone.now() - timedelta(hours=30)):
        at = verified(member_user, 7).at
    record(event=EventName.REQUEST_APPROVE, actor=member_user, metadata={"verification": 7})
    row = table(auditor_client, query)[-1]
    assert row["mfa_verification"] == "7"
    assert row["mfa_at"] == at.isoformat()
    assert (row["mfa_with"], row["mfa_from"]) == ("Aegis on Pixel 8", "192.0.2.7")


def test_events_without_mfa_have_empty_cells(auditor_client):
    record(event=EventName.SESSION_SIGN_OUT, actor=None)
    assert table(auditor_client)[0]["mfa_verification"] == ""


def check(text: str):
    return Verifier(chain_keys()).run(records_in(text.encode().splitlines()))


def test_an_export_without_filters_verifies_whole(auditor_client, member_user):
    for number in range(3):
        verified(member_user, number)
    write_checkpoints(timezone.now())
    report = check(text_of(auditor_client, "jsonl"))
    assert (report.ok, report.whole, report.chained, report.pending) == (True, True, 3, 1)


def test_a_filtered_export_verifies_row_by_row(auditor_client, member_user):
    record(event=EventName.SESSION_SIGN_IN, actor=member_user)
    for number in range(3):
        verified(member_user, number)
    write_checkpoints(timezone.now())
    text = text_of(auditor_client, "jsonl", "?event=mfa:verify")
    report = check(text)
    assert (report.ok, report.whole, report.chained) == (True, False, 3)
    assert not check(text.replace("Aegis", "Other", 1)).ok


@pytest.mark.usefixtures("worker_key")
def test_a_filtered_export_verifies_across_a_stub(auditor_client):
    record(event=EventName.SESSION_SIGN_IN, actor=None)
    write_checkpoints(timezone.now())
    prune_log(before=timezone.now())
    write_checkpoints(timezone.now())
    assert check(text_of(auditor_client, "jsonl", "?event=audit:prune")).ok


def test_the_export_has_the_event_as_it_was_hashed(auditor_client):
    event = record(event=EventName.USER_CHANGE, actor=None, metadata={"ü": [1, 0.1, None]})
    write_checkpoints(timezone.now())
    [line] = [record for record in lines(auditor_client) if record.get("id") == event.pk]
    values = Event.objects.values(*FIELDS["event"]).get(pk=event.pk)
    assert line["digest"] == hash_of("event", event_record(values))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize("filters", [EventFilter(), EventFilter(event="session:sign_in")])
def test_memory_does_not_grow_with_the_rows(monkeypatch, form, filters):
    monkeypatch.setattr(keyset, "BATCH_SIZE", 50)
    monkeypatch.setattr("audit.integrity.records.CHUNK_SIZE", 50)
    peaks = []
    for more in (100, 900):
        Event.objects.bulk_create(
            Event(event="session:sign_in", actor_label="x" * 300) for _ in range(more)
        )
        write_checkpoints(timezone.now())
        tracemalloc.start()
        for _ in export_lines(filters, form):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
