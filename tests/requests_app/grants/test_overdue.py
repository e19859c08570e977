"""Access that could not be cut is told on every page to those who answer for the portal."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from requests_app.grants.status import overdue_summary
from requests_app.models import GrantState
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db


def late(minutes: int = 3, state=GrantState.REVOKING, **fields):
    deadline = timezone.now() - timedelta(minutes=minutes)
    return GrantFactory(state=state, deadline=deadline, login_oid=7, **fields)


@pytest.mark.parametrize("state", [GrantState.REVOKING, GrantState.ACTIVE])
def test_what_is_past_its_end_and_not_contained_is_overdue(state):
    grant = late(state=state)
    found = overdue_summary(timezone.now())
    assert (found.number, found.longest, found.requests) == (1, "3 min", [grant.request])


def test_what_is_contained_ended_or_just_due_is_not():
    for state in (GrantState.CONTAINED, GrantState.REMOVED):
        late(state=state, contained_at=timezone.now())
    late(minutes=0)
    GrantFactory()
    assert overdue_summary(timezone.now()) is None


@pytest.mark.parametrize(("seconds", "told"), [(8, "8 s"), (59, "59 s"), (75, "1 min"), (7260, "2 h 1 min")])  # fmt: skip
def test_its_age_is_told_to_the_minute(seconds, told):
    grant = late()
    assert overdue_summary(grant.deadline + timedelta(seconds=seconds)).longest == told


def test_what_was_never_made_is_not():
    GrantFactory(state=GrantState.REVOKING, deadline=timezone.now() - timedelta(hours=1), login_oid=None)  # fmt: skip
    assert overdue_summary(timezone.now()) is None


def test_the_most_overdue_comes_first_and_few_are_named():
    grants = [late(minutes=minutes) for minutes in (5, 9, 7, 8, 6)]
    found = overdue_summary(timezone.now())
    assert (found.requests[0], len(found.requests), found.more) == (grants[1].request, 3, 2)


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_every_page_tells_admins_and_auditors(signed_in, admin_user, auditor_user, who):
    request = late().request
    client = signed_in({"admin": admin_user, "auditor": auditor_user}[who])
    page = client.get(reverse("requests:my_access")).content.decode()
    assert "Overdue by 3 min" in page
    assert reverse("requests:detail", args=[request.pk]) in page


def test_others_are_not_told(member_client):
    late()
    assert b"Overdue by" not in member_client.get(reverse("requests:my_access")).content
