"""The proof of an end is shown and exported: login, sessions, remains, when and how."""

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


def test_everything_the_target_said_is_told():
    assert proof_lines(PROOF) == [
        ("Login", "Removed"),
        ("Sessions", "None open"),
        ("Left behind", "Nothing. Checked billing, orders; 1 more by the server's dependency catalog"),
        ("Checked", "31 May 2026, 16:00:01 by the target's clock"),
        ("Method", "Read from the target."),
    ]  # fmt: skip


def test_what_does_not_hold_is_not_made_better():
    failed = PROOF | {
        "role_removed": False,
        "no_open_sessions": False,
        "nothing_left_behind": False,
    }
    told = dict(proof_lines(failed))
    assert (told["Login"], told["Sessions"]) == ("Still exists", "Some open")
    assert told["Left behind"].startswith("Some objects. ")


def test_an_export_has_it_in_one_line():
    assert proof_summary(PROOF) == (
        "login removed, no open sessions, nothing left behind, checked 2026-05-31T16:00:01+00:00: "
        "Read from the target."
    )


def test_what_is_not_known_is_left_out():
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
