"""The Activity page: one row per request, filters in the address, details in place, exports."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from apono_portal.core.db import keyset
from audit.events import EventName
from audit.models import Event
from requests_app.models import (
    AccessRequest,
    Decision,
    Extension,
    GrantState,
    RequestedTarget,
    Status,
)
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = pytest.mark.django_db


def listed(client, query: str = "") -> list[int]:
    answer = client.get(f"/activity/?{query}")
    assert answer.status_code == 200
    return [row.pk for row in answer.context["page"].rows]


@pytest.fixture
def protected() -> AccessRequest:
    """A request through a protected flow: verified, approved, expired and removed."""
    irma, tomas = UserFactory(name="Irma Solberg"), UserFactory(name="Tomas Brandt")
    flow = AccessFlowFactory(
        name="Billing write", require_mfa=True, approval="any_of", requester_users=[irma], targets=1
    )
    access_request = AccessRequestFactory(
        requester=irma,
        flow=flow,
        status=Status.EXPIRED,
        created_at=datetime(2026, 5, 31, 14, tzinfo=UTC),
        starts_at=datetime(2026, 5, 31, 15, tzinfo=UTC),
        ends_at=datetime(2026, 5, 31, 16, tzinfo=UTC),
        ended_at=datetime(2026, 5, 31, 16, tzinfo=UTC),
        verified_with="Aegis on Pixel 8",
        verified_from="192.0.2.7",
        justification="=1+1",
    )
    DecisionFactory(
        request=access_request,
        approver=tomas,
        verdict=Decision.Verdict.APPROVE,
        reason="Month end",
        verification=VerificationFactory(user=tomas, device_name="Tomas' phone"),
    )
    GrantFactory(
        request=access_request,
        state=GrantState.REMOVED,
        login="jit_abc",
        contained_at=access_request.ended_at,
        removed_at=access_request.ended_at,
        proof={"method": "Asked all databases"},
    )
    return access_request


@pytest.fixture
def plain() -> AccessRequest:
    flow = AccessFlowFactory(name="Orders read", targets=1)
    return AccessRequestFactory(
        flow=flow,
        requester=UserFactory(name="Luis Ferreira"),
        status=Status.ACTIVE,
        created_at=datetime(2026, 6, 2, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["plain", "protected"]),
        ("requester=irma", ["protected"]),
        ("requester=solberg+irma", ["protected"]),
        ("flow=billing", ["protected"]),
        ("status=active", ["plain"]),
        ("mfa=verified", ["protected"]),
        ("mfa=not_required", ["plain"]),
        ("mfa=missing", []),
        ("since=2026-06-01", ["plain"]),
        ("until=2026-05-31", ["protected"]),
        ("since=2026-05-31&until=2026-05-31", ["protected"]),
        ("since=2026-05-31&requester=luis&status=active", ["plain"]),
        ("requester=irma&status=active", []),
    ],
)
def test_filters_live_in_the_address(auditor_client, protected, plain, query, expected):
    by_name = {"plain": plain.pk, "protected": protected.pk}
    assert listed(auditor_client, query) == [by_name[name] for name in expected]


@pytest.mark.parametrize("field", ["integration", "permission", "request", "resource"])
def test_requests_are_found_by_their_targets(auditor_client, protected, plain, field):
    target = protected.targets.get()
    query = {
        "integration": f"integration={target.integration_name}",
        "permission": f"permission={target.permission}",
        "resource": f"permission={target.resource}",
        "request": f"request={protected.reference}",
    }[field]
    assert listed(auditor_client, query) == [protected.pk]


def test_integration_and_permission_must_match_the_same_target(auditor_client, protected, plain):
    one, other = plain.targets.get(), protected.targets.get()
    RequestedTarget.objects.create(
        request=plain,
        integration_name=other.integration_name,
        resource=other.resource,
        permission=other.permission,
    )
    query = f"integration={one.integration_name}&permission={other.permission}"
    assert listed(auditor_client, query) == []
    query = f"integration={one.integration_name}&permission={one.permission}"
    assert listed(auditor_client, query) == [plain.pk]


def test_row_shows_requester_flow_evidence_and_approver(auditor_client, protected):
    page = auditor_client.get("/activity/").content.decode()
    for text in ("Irma Solberg", "Billing write", "Aegis on Pixel 8", "Tomas Brandt", "Expired"):
        assert text in page


def test_details_show_evidence_decisions_and_proof(auditor_client, protected):
    page = auditor_client.get(f"/activity/?open={protected.pk}").content.decode()
    for text in ("Month end", "Tomas&#x27; phone", "jit_abc", "Asked all databases", "192.0.2.7"):
        assert text in page
    assert reverse("requests:detail", args=[protected.pk]) in page
    assert f"/audit-log/?request={protected.reference}" in page


def test_row_outlives_its_requester(auditor_client, protected):
    protected.requester.delete()
    page = auditor_client.get(f"/activity/?open={protected.pk}").content.decode()
    assert "Irma Solberg" in page


def test_pages_join_without_a_gap(auditor_client):
    flow = AccessFlowFactory(targets=1)
    numbers = [AccessRequestFactory(flow=flow).pk for _ in range(keyset.PAGE_SIZE + 2)][::-1]
    first = auditor_client.get("/activity/")
    rest = listed(auditor_client, f"before={first.context['page'].older_than}")
    assert [row.pk for row in first.context["page"].rows] + rest == numbers


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "status=gone",
        "mfa=perhaps",
        "request=AR-x",
        "flow=%00",
        "requester=" + "x" * 101,
        "before=-1",
        "open=" + "9" * 40,
    ],
)
@pytest.mark.parametrize("name", ["activity", "activity_csv", "activity_jsonl"])
def test_invalid_filter_gets_an_error(auditor_client, query, name):
    answer = auditor_client.get(f"{reverse(f'requests:{name}')}?{query}")
    assert answer.status_code == 422
    assert b'role="alert"' in answer.content


def test_members_get_404(member_client, protected):
    for name in ("activity", "activity_csv", "activity_jsonl"):
        assert member_client.get(reverse(f"requests:{name}")).status_code == 404
    assert b"/activity/" not in member_client.get("/").content


def text_of(client, form: str, query: str = "") -> str:
    answer = client.get(f"{reverse(f'requests:activity_{form}')}?{query}")
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def test_csv_holds_evidence_decisions_and_proof(auditor_client, protected, plain):
    text = text_of(auditor_client, "csv", "requester=irma")
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert row["request"] == protected.reference
    assert (row["mfa_required"], row["mfa_with"], row["mfa_from"]) == (
        "True",
        "Aegis on Pixel 8",
        "192.0.2.7",
    )
    assert row["mfa_verification"] == str(protected.verification_id)
    assert "approve by Tomas Brandt" in row["decisions"]
    assert "Tomas' phone" in row["approvers_mfa"]
    assert row["proof"] == "Asked all databases"
    assert row["justification"] == "'=1+1"


def test_json_lines_hold_the_same(auditor_client, protected, plain):
    rows = [json.loads(line) for line in text_of(auditor_client, "jsonl").splitlines()]
    assert [row["request"] for row in rows] == [protected.reference, plain.reference]
    assert next(iter(rows[0])) == "requested_at"
    assert rows[0]["decisions"][0]["mfa_with"] == "Tomas' phone"
    assert rows[0]["removal_verified_at"] == "2026-05-31T16:00:00.000000+00:00"
    assert rows[1]["mfa_verified_at"] is None
    assert rows[0]["justification"] == "=1+1"


def test_export_continues_past_its_first_batch(auditor_client, monkeypatch):
    monkeypatch.setattr(keyset, "BATCH_SIZE", 2)
    flow = AccessFlowFactory(targets=1)
    references = [AccessRequestFactory(flow=flow).reference for _ in range(5)]
    rows = [json.loads(line) for line in text_of(auditor_client, "jsonl").splitlines()]
    assert [row["request"] for row in rows] == references


def test_export_is_recorded(auditor_client, protected):
    text_of(auditor_client, "csv", "requester=irma")
    metadata = Event.objects.get(event=EventName.AUDIT_EXPORT).metadata
    assert metadata["what"] == "activity"
    assert (metadata["filters"], metadata["rows"]) == ({"requester": "irma"}, "1 row")


@pytest.mark.parametrize("count", [2, 20])
def test_query_count_does_not_depend_on_rows(auditor_client, count, django_assert_max_num_queries):
    flow = AccessFlowFactory(targets=1, require_mfa=True)
    requests = [AccessRequestFactory(flow=flow, status=Status.ACTIVE) for _ in range(count)]
    for access_request in requests:
        DecisionFactory(request=access_request)
        GrantFactory(request=access_request)
    with django_assert_max_num_queries(15):
        auditor_client.get(f"/activity/?open={requests[0].pk}")


def test_old_request_is_shown_with_its_year(auditor_client, protected):
    AccessRequest.objects.update(verified_at=datetime(2025, 1, 2, tzinfo=UTC) - timedelta(days=1))
    assert "1 Jan 2025" in auditor_client.get("/activity/").content.decode()


def test_exports_hold_the_evidence_of_extensions(auditor_client, protected):
    Extension.objects.create(
        request=protected,
        number=1,
        state=Extension.State.DONE,
        from_end=protected.ends_at,
        to_end=protected.ends_at + timedelta(minutes=30),
        require_mfa=True,
        verified_at=datetime(2026, 5, 31, 15, 55, tzinfo=UTC),
        verified_with="Aegis on Pixel 8",
        verified_from="192.0.2.7",
    )
    [row] = [json.loads(line) for line in text_of(auditor_client, "jsonl").splitlines()]
    [extension] = row["extensions"]
    assert (extension["mfa_with"], extension["mfa_from"]) == ("Aegis on Pixel 8", "192.0.2.7")
    [cells] = csv.DictReader(io.StringIO(text_of(auditor_client, "csv"), newline=""))
    assert "MFA 2026-05-31T15:55:00" in cells["extensions"]
