"""Overdue access is shown on every page to admins and auditors."""

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
    return GrantFactory(state=state, deadline=deadline, login_mark="7", **fields)


@pytest.mark.parametrize("state", [GrantState.REVOKING, GrantState.ACTIVE])
def test_a_grant_past_its_deadline_and_not_contained_is_overdue(state):
    grant = late(state=state)
    summary = overdue_summary(timezone.now())
    assert (summary.number, summary.longest, summary.requests) == (1, "3 min", [grant.request])


def test_contained_removed_or_just_due_grants_are_not_overdue():
    for state in (GrantState.CONTAINED, GrantState.REMOVED):
        late(state=state, contained_at=timezone.now())
    late(minutes=0)
    GrantFactory()
    assert overdue_summary(timezone.now()) is None


@pytest.mark.parametrize(("seconds", "text"), [(8, "8 s"), (59, "59 s"), (75, "1 min"), (7260, "2 h 1 min")])  # fmt: skip
def test_the_delay_is_shown_in_minutes(seconds, text):
    grant = late()
    assert overdue_summary(grant.deadline + timedelta(seconds=seconds)).longest == text


def test_a_grant_never_created_is_not_in_the_summary():
    GrantFactory(state=GrantState.REVOKING, deadline=timezone.now() - timedelta(hours=1), login_mark="")  # fmt: skip
    assert overdue_summary(timezone.now()) is None


def test_the_most_overdue_come_first_and_few_are_listed():
    grants = [late(minutes=minutes) for minutes in (5, 9, 7, 8, 6)]
    summary = overdue_summary(timezone.now())
    assert (summary.requests[0], len(summary.requests), summary.more) == (grants[1].request, 3, 2)


@pytest.mark.parametrize("who", ["admin", "auditor"])
def test_every_page_shows_it_to_admins_and_auditors(signed_in, admin_user, auditor_user, who):
    request = late().request
    client = signed_in({"admin": admin_user, "auditor": auditor_user}[who])
    page = client.get(reverse("requests:my_access")).content.decode()
    assert "Overdue by 3 min" in page
    assert reverse("requests:detail", args=[request.pk]) in page


def test_members_do_not_see_it(member_client):
    late()
    assert b"Overdue by" not in member_client.get(reverse("requests:my_access")).content
