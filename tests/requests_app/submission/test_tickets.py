"""Tickets: required by the flow, stored on the request, shown and exported."""

from datetime import timedelta

import pytest

from audit.models import Event
from requests_app.activity.export import export_lines
from requests_app.activity.selectors import ActivityFilters
from requests_app.exceptions import RequestRefused
from requests_app.models import AccessRequest
from tests.factories import AccessFlowFactory, UserFactory
from tests.fixtures.submission import submit_request

pytestmark = pytest.mark.django_db


@pytest.fixture
def user():
    return UserFactory()


def ask(user, ticket, **rules):
    flow = AccessFlowFactory(requester_users=[user], targets=1, **rules)
    return submit_request(
        actor=user,
        flow=flow,
        target_ids=[flow.targets.get().pk],
        duration=timedelta(hours=1),
        justification="Backfill carrier_id",
        ticket=ticket,
        window=None,
    )


@pytest.mark.parametrize(
    ("ticket", "rules"),
    [
        ("", {"require_ticket": True}),
        ("  , ", {"require_ticket": True, "ticket_pattern": "OPS-#"}),
        ("SEC-1", {"ticket_pattern": "OPS-#"}),
        ("x" * 61, {}),
    ],
)
def test_an_invalid_ticket_is_refused(user, ticket, rules):
    with pytest.raises(RequestRefused) as refused:
        ask(user, ticket, **rules)
    assert refused.value.field == "ticket"
    assert not AccessRequest.objects.exists()


def test_the_refusal_has_an_example(user):
    with pytest.raises(RequestRefused, match="for example OPS-123"):
        ask(user, "", require_ticket=True, ticket_pattern="OPS-#")


@pytest.mark.parametrize(
    ("ticket", "rules", "kept"),
    [
        ("", {"ticket_pattern": "OPS-#"}, ""),
        ("ops-7", {"ticket_pattern": "OPS-#"}, "ops-7"),
        ("SEC-1 OPS-7", {"ticket_pattern": "OPS-#"}, "SEC-1, OPS-7"),
        ("https://tickets.example/7", {}, "https://tickets.example/7"),
    ],
)
def test_a_valid_ticket_is_stored(user, ticket, rules, kept):
    assert ask(user, ticket, **rules).ticket == kept


def test_the_ticket_is_in_the_audit_log_and_the_export(user):
    request = ask(user, "OPS-7", ticket_pattern="OPS-#")
    assert Event.objects.get(event="request:submit").metadata["ticket"] == "OPS-7"
    header, row = "".join(export_lines(ActivityFilters(request_id=request.pk), "csv")).splitlines()
    assert "OPS-7" in row
    assert "ticket" in header


def test_the_ticket_is_on_the_page_and_its_timeline(user, signed_in):
    request = ask(user, "OPS-7")
    page = signed_in(user).get(f"/requests/AR-{request.pk}/").content.decode()
    assert page.count("OPS-7") == 2
    assert "Ticket OPS-7" in page
