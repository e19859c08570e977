"""The Audit Log page: rows, filters in the URL, keyset pagination, rows that open in place."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apono_portal.core.db.keyset import PAGE_SIZE
from apono_portal.core.web.client import ClientInfo
from audit.events import EventName
from audit.integrity import triggers
from audit.integrity.checkpoints import write_checkpoints
from audit.integrity.verification import verify_log
from audit.log.details import details_of
from audit.log.selectors import EventFilter, filter_events
from audit.models import ChainEntry, Event
from audit.services import record

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE = ClientInfo("192.0.2.7", "Firefox")


def rows_of(answer) -> list[int]:
    return [event.pk for event in answer.context["page"].rows]


def written(count: int, **fields) -> list[int]:
    defaults = {"event": EventName.SESSION_SIGN_IN, "actor": None}
    return [record(**{**defaults, **fields}).pk for _ in range(count)]


def test_a_row_shows_who_what_when_and_from_where(auditor_client, admin_user, member_user):
    with time_machine.travel(datetime(2026, 5, 31, 14, 18, 9, tzinfo=UTC), tick=False):
        record(event=EventName.USER_CHANGE, actor=admin_user, target=member_user, client_info=HERE)
    page = auditor_client.get("/audit-log/").content.decode()
    for text in ("Ada Admin", "User changed", "31 May 14:18:09", "192.0.2.7", "Max Member"):
        assert text in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("event=mfa:verify", ["mfa"]),
        ("actor=ada", ["user"]),
        ("actor=ada+example.org", ["user"]),
        ("request=AR-77", ["request"]),
        ("request=77", ["request"]),
        ("actor=exam+ada.admin", ["user"]),
        ("actor=ada+max", []),
        ("actor=da", []),
        ("actor=%5C'a%25&text=a_a", []),
        ("text=max", ["user", "mfa"]),
        ("text=example.o+MEMBER", ["user", "mfa"]),
        ("text=ad+ma", ["user"]),
        ("text=@+-", ["request", "user", "mfa"]),
        ("text=192.0.2", ["user"]),
        ("text=AR-77", ["request"]),
        ("since=2026-06-01", ["request"]),
        ("until=2026-05-31", ["user", "mfa"]),
        ("since=2026-05-31&until=2026-05-31", ["user", "mfa"]),
        ("event=mfa:verify&actor=ada", []),
        ("", ["request", "user", "mfa"]),
    ],
)
def test_filters_are_in_the_url(auditor_client, admin_user, member_user, query, expected):
    access_request = type(
        "Request", (), {"pk": 77, "reference": "AR-77", "break_glass": False, "by_agent": False}
    )
    with time_machine.travel(datetime(2026, 5, 31, 23, 59, tzinfo=UTC), tick=False):
        [mfa] = written(1, event=EventName.MFA_VERIFY, actor=member_user)
        [user] = written(
            1, event=EventName.USER_CHANGE, actor=admin_user, target=member_user, client_info=HERE
        )
    with time_machine.travel(datetime(2026, 6, 1, tzinfo=UTC), tick=False):
        [request] = written(1, event=EventName.REQUEST_GRANT, request=access_request)
    numbers = {"mfa": mfa, "user": user, "request": request}
    ids = rows_of(auditor_client.get(f"/audit-log/?{query}"))
    assert ids == [numbers[name] for name in expected]


def test_pages_follow_each_other_without_a_gap(auditor_client):
    numbers = written(PAGE_SIZE + 3)[::-1]
    first = auditor_client.get("/audit-log/")
    second = auditor_client.get(f"/audit-log/?before={first.context['page'].older_than}")
    assert rows_of(first) + rows_of(second) == numbers
    assert second.context["page"].older_than is None
    back = auditor_client.get(f"/audit-log/?after={second.context['page'].newer_than}")
    assert rows_of(back) == numbers[:PAGE_SIZE]
    assert back.context["page"].newer_than is None


@pytest.mark.parametrize("words", ["", "&actor=fox", "&actor=rare"])
def test_a_range_of_days_is_listed_by_time(auditor_client, admin_user, monkeypatch, words):
    """Clocks of web processes differ, so ids do not follow times."""
    monkeypatch.setattr("audit.log.selectors.SCAN_LIMIT", 40)
    monkeypatch.setattr("audit.log.selectors.MAX_CANDIDATES", 30)
    expected = []
    for n in range(3 * PAGE_SIZE):
        with time_machine.travel(NOON + timedelta(minutes=(n * 7) % 75), tick=False):
            name = "Rare" if n % 4 == 0 else "Common"
            [pk] = written(1, actor_label=f"Fox {name}")
        if "rare" not in words or name == "Rare":
            expected.append(((n * 7) % 75, pk))
    written(PAGE_SIZE, actor_label="Fox Rare")
    with time_machine.travel(NOON - timedelta(days=2), tick=False):
        written(1, actor_label="Fox Rare")
    page = f"/audit-log/?since={NOON:%Y-%m-%d}&until={NOON:%Y-%m-%d}{words}"
    listed, place, last = [], "", None
    while place is not None:
        last = auditor_client.get(page + place)
        listed += rows_of(last)
        older = last.context["page"].older_than
        place = f"&before={older}" if older else None
    assert listed == [pk for _, pk in sorted(expected, reverse=True)]
    if newer := last.context["page"].newer_than:
        start = len(listed) - len(rows_of(last)) - PAGE_SIZE
        assert rows_of(auditor_client.get(f"{page}&after={newer}")) == listed[start:][:PAGE_SIZE]


def test_new_events_do_not_shift_a_page(auditor_client):
    written(PAGE_SIZE + 3)
    older = auditor_client.get("/audit-log/").context["page"].older_than
    before = rows_of(auditor_client.get(f"/audit-log/?before={older}"))
    written(5)
    assert rows_of(auditor_client.get(f"/audit-log/?before={older}")) == before


def test_links_to_other_pages_keep_the_filters(auditor_client):
    written(PAGE_SIZE + 1)
    page = auditor_client.get("/audit-log/?event=session:sign_in&open=1").content.decode()
    assert "?event=session%3Asign_in&amp;before=" in page


def test_a_row_opens_in_place(auditor_client, admin_user):
    changes = [{"term": "Require MFA", "before": "Off", "after": "On"}]
    [opened, _] = [
        *written(1, event=EventName.FLOW_CHANGE, actor=admin_user, metadata={"changes": changes}),
        *written(1),
    ]
    closed = auditor_client.get("/audit-log/").content.decode()
    page = auditor_client.get(f"/audit-log/?open={opened}").content.decode()
    assert "Require MFA" not in closed
    assert f'id="e{opened}"' in page
    assert all(text in page for text in ("Require MFA", "Off", "On", "flow:change"))


def test_a_verification_shows_its_authenticator_and_the_requests_it_released(
    auditor_client, member_user
):
    metadata = {"verification": 5, "authenticator": "Aegis on Pixel 8"}
    [verified] = written(1, event=EventName.MFA_VERIFY, actor=member_user, metadata=metadata)
    for number, verification in ((71, 5), (72, 5), (73, 6)):
        access_request = type(
            "Request",
            (),
            {"pk": number, "reference": f"AR-{number}", "break_glass": False, "by_agent": False},
        )
        written(
            1,
            event=EventName.REQUEST_RELEASE,
            actor=member_user,
            request=access_request,
            metadata={"verification": verification},
        )
    answer = auditor_client.get(f"/audit-log/?event=mfa:verify&open={verified}")
    page = answer.content.decode()
    assert "Aegis on Pixel 8" in page
    assert reverse("requests:detail", args=[71]) in page
    assert [event.request_label for event in answer.context["details"].released] == [
        "AR-71",
        "AR-72",
    ]


def test_details_are_facts_in_words():
    metadata = {
        "proof": {"role_removed": True, "permission_changes": []},
        "duration_s": 7200,
        "require_mfa": True,
        "until": "2026-05-31T20:15:00+00:00",
    }
    facts = dict(details_of(Event(metadata=metadata), released=[]).facts)
    assert facts == {
        "Proof": "Role removed; Permission changes: none",
        "Duration": "2 h",
        "Require MFA": "yes",
        "Until": "31 May 2026, 20:15:00",
    }


def test_a_quick_range_shows_the_last_hours(auditor_client):
    now = timezone.now()
    for age in (timedelta(hours=1), timedelta(days=3)):
        Event.objects.create(event="session:sign_in", at=now - age, actor_label=f"{age.days} days")
    url = reverse("audit:list")
    day = auditor_client.get(f"{url}?range=24h").content.decode()
    assert "0 days" in day
    assert "3 days" not in day
    assert "3 days" in auditor_client.get(f"{url}?range=7d").content.decode()
    assert auditor_client.get(f"{url}?range=9y").status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=2026-02-30",
        "until=9999-12-31",
        "since=0001-01-01",
        "event=nothing:here",
        "request=AR-x",
        "request=" + "9" * 30,
        "request=%D9%A1",
        "text=" + "x" * 101,
        "text=%00",
        "actor=%00",
        "before=-1",
        "before=x",
        "open=" + "9" * 40,
        "after=1e3",
    ],
)
@pytest.mark.parametrize("name", ["list", "export_csv", "export_jsonl"])
def test_an_invalid_filter_gets_an_error_message(auditor_client, query, name):
    answer = auditor_client.get(f"{reverse(f'audit:{name}')}?{query}")
    assert answer.status_code == 422
    assert b'role="alert"' in answer.content


def test_text_from_outside_is_escaped(auditor_client, admin_user):
    script = "<script>alert(1)</script>"
    client_info = ClientInfo("192.0.2.7", script)
    [number] = written(
        1,
        actor=admin_user,
        client_info=client_info,
        metadata={script: script, "changes": {script: {"from": script, "to": script}}},
    )
    page = auditor_client.get(f"/audit-log/?open={number}&text=192").content.decode()
    assert "alert(1)" in page
    assert script not in page
    assert script not in auditor_client.get(f"/audit-log/?text={script}").content.decode()


def test_a_large_log_takes_one_query_more_to_estimate_its_size(
    auditor_client, questions_of, monkeypatch
):
    written(4)
    small = questions_of(auditor_client, "/audit-log/")
    monkeypatch.setattr("apono_portal.core.db.keyset.EXACT_COUNT_LIMIT", 3)
    assert questions_of(auditor_client, "/audit-log/") == small + 1
    written(20)
    assert questions_of(auditor_client, "/audit-log/") == small + 1


@pytest.mark.parametrize("limit", [1, 1000])
def test_word_search_has_the_same_pages_for_common_and_rare_words(
    auditor_client, monkeypatch, limit
):
    monkeypatch.setattr("audit.log.selectors.SCAN_LIMIT", limit)
    numbers = written(2 * PAGE_SIZE + 1, actor_label="Xenia Fox <xenia@example.org>")
    written(3)
    first = auditor_client.get("/audit-log/?actor=fox")
    assert rows_of(first) == numbers[: -PAGE_SIZE - 1 : -1]
    older = auditor_client.get(f"/audit-log/?actor=fox&before={first.context['page'].older_than}")
    assert rows_of(older) == numbers[PAGE_SIZE::-1][:PAGE_SIZE]
    assert older.context["page"].older_than
    newer = auditor_client.get(f"/audit-log/?actor=fox&after={older.context['page'].newer_than}")
    assert rows_of(newer) == rows_of(first)
    assert newer.context["page"].newer_than is None


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no index over words")
@pytest.mark.parametrize(
    "filters",
    [
        EventFilter(actor="petra.nov 10"),
        EventFilter(text="AR-10 10.0"),
        EventFilter(actor="\\'x", text="Jörg"),
    ],
)
def test_word_search_uses_the_index(filters):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    assert "event_words" in filter_events(filters)[:50].explain()


@pytest.mark.parametrize("count", [10, 100])
def test_the_number_of_queries_does_not_depend_on_rows(
    auditor_client, count, django_assert_max_num_queries
):
    numbers = written(count)
    with django_assert_max_num_queries(15) as queries:
        auditor_client.get(f"/audit-log/?open={numbers[-1]}")
    on_events = [q for q in queries.captured_queries if 'FROM "audit_event"' in q["sql"]]
    assert len(on_events) == 2  # the rows, and their number


def test_nothing_can_be_posted(auditor_client):
    assert auditor_client.post("/audit-log/").status_code == 405
    assert auditor_client.post(reverse("audit:export_csv")).status_code == 405
    assert not Event.objects.exists()


def page_text(client, query: str = "") -> str:
    return " ".join(client.get(f"/audit-log/{query}").content.decode().split())


def test_the_page_shows_the_last_checkpoint_and_verification(auditor_client):
    assert "No checkpoint yet." in page_text(auditor_client)
    [number] = written(1)
    write_checkpoints(timezone.now())
    page = page_text(auditor_client)
    assert f"Checkpoint 1 through event #{number}" in page
    assert "Not verified yet." in page
    verify_log()
    assert f"Verified through event #{number}" in page_text(auditor_client)


def test_the_page_shows_the_findings_of_the_last_verification(auditor_client):
    [number] = written(1)
    write_checkpoints(timezone.now())
    triggers.run(connection, triggers.remove_sql(connection.vendor))
    Event.objects.filter(pk=number).update(actor_label="Somebody else")
    verify_log()
    page = page_text(auditor_client)
    assert "1 finding." in page
    assert f"EDITED: Event {number}" in page


def test_an_open_row_shows_its_position_in_the_chain(auditor_client):
    [number] = written(1)
    assert "Not yet in the chain" in page_text(auditor_client, f"?open={number}")
    write_checkpoints(timezone.now())
    page = page_text(auditor_client, f"?open={number}")
    assert ChainEntry.objects.get(event_id=number).digest in page


@pytest.mark.parametrize(
    ("query", "total"),
    [("", "About 6 rows"), ("?event=session:sign_in", "More than 3 rows"), ("?text=x", "2 rows")],
)
def test_the_page_shows_how_many_rows_an_export_has(auditor_client, monkeypatch, query, total):
    monkeypatch.setattr("apono_portal.core.db.keyset.EXACT_COUNT_LIMIT", 3)
    written(4)
    written(2, event=EventName.USER_CHANGE, actor_label="Xenia")
    assert total in page_text(auditor_client, query)
