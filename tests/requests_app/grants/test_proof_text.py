"""The proof of removal on the page and in exports."""

import pytest
from django.urls import reverse
from django.utils import timezone

from requests_app.grants.proof_text import proof_lines, proof_summary
from requests_app.models import GrantState, Status
from tests.factories import AccessRequestFactory, GrantFactory

PROOF = {
    "holds": True,
    "role_removed": True,
    "no_open_sessions": True,
    "nothing_left_behind": True,
    "checked_at": "2026-05-31T16:00:01+00:00",
    "method": "Read from the target.",
    "details": {
        "databases_read": ["billing", "orders"],
        "databases_known_from_pg_shdepend_only": ["ledger"],
    },
}


def test_the_proof_shows_everything_that_was_checked():
    assert proof_lines(PROOF) == [
        ("Login", "Removed"),
        ("Sessions", "None open"),
        ("Left behind", "Nothing. Checked billing, orders; 1 more by the server's dependency catalog"),
        ("Checked", "31 May 2026, 16:00:01 by the target's clock"),
        ("Method", "Read from the target."),
    ]  # fmt: skip


def test_failed_checks_are_shown_as_failed():
    failed = PROOF | {
        "role_removed": False,
        "no_open_sessions": False,
        "nothing_left_behind": False,
    }
    lines = dict(proof_lines(failed))
    assert (lines["Login"], lines["Sessions"]) == ("Still exists", "Some open")
    assert lines["Left behind"].startswith("Some objects. ")


def test_the_export_has_the_proof_on_one_line():
    assert proof_summary(PROOF) == (
        "login removed, no open sessions, nothing left behind, checked 2026-05-31T16:00:01+00:00: "
        "Read from the target."
    )


def test_missing_parts_are_left_out():
    assert proof_lines({}) == []
    assert proof_lines({"checked_at": "soon"}) == []
    assert proof_summary({"method": "Asked"}) == "Asked"


@pytest.mark.django_db
def test_the_page_shows_it(admin_client):
    now = timezone.now()
    request = AccessRequestFactory(status=Status.EXPIRED)
    GrantFactory(
        request=request, state=GrantState.REMOVED, contained_at=now, removed_at=now, proof=PROOF
    )
    page = admin_client.get(reverse("requests:detail", args=[request.pk])).content.decode()
    for _, answer in proof_lines(PROOF):
        assert answer.replace("'", "&#x27;") in page
