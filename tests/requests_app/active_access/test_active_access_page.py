"""The Active Access page: grants that are not contained, the soonest end first, with filters."""

from datetime import timedelta

import pytest
from django.utils import timezone

from requests_app.active_access import selectors
from requests_app.models import Grant, GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    DecisionFactory,
    GrantFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = pytest.mark.django_db
URL = "/active-access/"


def grant_of(
    name: str = "Irma Solberg", ends_in: timedelta = timedelta(hours=1), **fields
) -> Grant:
    user = UserFactory(name=name)
    flow = AccessFlowFactory(requester_users=[user], targets=1, **fields)
    request = AccessRequestFactory(requester=user, flow=flow, status=Status.ACTIVE)
    return GrantFactory(request=request, deadline=timezone.now() + ends_in)


def listed(client, query: str = "") -> list[Grant]:
    answer = client.get(f"{URL}?{query}")
    assert answer.status_code == 200
    return answer.context["page"].rows


def test_it_lists_what_is_not_contained_by_its_end(auditor_client):
    later, sooner = grant_of(), grant_of(ends_in=timedelta(minutes=5))
    for state in (GrantState.CONTAINED, GrantState.REMOVED):
        GrantFactory(state=state)
    assert listed(auditor_client) == [sooner, later]


def test_it_shows_the_evidence_the_approval_and_the_login(auditor_client):
    grant = grant_of(require_mfa=True, approval="any_of")
    Grant.objects.update(login="jit_abc")
    approver = UserFactory(name="Tomas Brandt")
    DecisionFactory(
        request=grant.request,
        approver=approver,
        verdict="approve",
        verification=VerificationFactory(user=approver),
    )
    page = auditor_client.get(URL).text
    assert "Authenticator app, " in page
    assert "Approved by Tomas Brandt" in page
    assert "/logins/jit_abc/" in page
    assert "1 h left" in page


@pytest.mark.parametrize(
    "query",
    [
        "requester=irma",
        "flow=billing",
        "integration=ledger",
        "permission=write",
        "ends=1h",
        "user_id={0.request.requester_id}",
        "flow_id={0.request.flow_id}",
        "integration_id={0.integration_id}",
    ],
)
def test_filters(auditor_client, query):
    grant = grant_of(name="Irma Solberg", ends_in=timedelta(minutes=30))
    grant_of(name="Max Member", ends_in=timedelta(hours=2))
    grant.request.flow_name = "Billing"
    grant.request.save()
    Grant.objects.filter(pk=grant.pk).update(integration_name="ledger", permission="orders_write")
    assert listed(auditor_client, query.format(grant)) == [grant]


def test_overdue_access_is_found(auditor_client):
    grant_of()
    overdue = grant_of(ends_in=-timedelta(minutes=3))
    assert listed(auditor_client, "ends=overdue") == [overdue]
    assert "Overdue by 3 min" in auditor_client.get(URL).text


@pytest.mark.parametrize(
    "query", ["after=x", "after=2026-01-01T00:00:00_zz", "ends=x", "user_id=x"]
)
def test_nonsense_in_the_address_is_refused(auditor_client, query):
    assert auditor_client.get(f"{URL}?{query}").status_code == 422


def test_pages_follow_each_other_also_where_ends_are_equal(auditor_client, monkeypatch):
    monkeypatch.setattr(selectors, "PAGE_SIZE", 2)
    grants = sorted((grant_of() for _ in range(5)), key=lambda grant: grant.pk)
    now = timezone.now()
    for grant, hours in zip(grants, (3, 2, 2, 2, 1), strict=True):
        Grant.objects.filter(pk=grant.pk).update(deadline=now + timedelta(hours=hours))
    seen: list[Grant] = []
    place, pages = "", []
    while place is not None:
        page = auditor_client.get(URL, {"after": str(place)}).context["page"]
        pages.append(page)
        seen += page.rows
        place = page.later_than
    assert seen == [grants[4], *grants[1:4], grants[0]]
    back = auditor_client.get(URL, {"before": str(pages[1].sooner_than)}).context["page"]
    assert back.rows == pages[0].rows


def test_no_more_are_counted_than_a_page_can_say(auditor_client, monkeypatch):
    monkeypatch.setattr(selectors, "EXACT_COUNT_LIMIT", 1)
    grant_of(), grant_of()
    assert "More than 1 grants" in auditor_client.get(URL).text


def test_it_asks_the_same_number_of_questions_for_many_rows(auditor_client, questions_of):
    grant_of()
    few = questions_of(auditor_client, URL)
    for _ in range(6):
        grant_of()
    assert questions_of(auditor_client, URL) == few <= 15


def test_members_see_no_such_page(member_client):
    assert member_client.get(URL).status_code == 404


def test_auditors_are_offered_no_revocation(auditor_client):
    grant = grant_of()
    page = auditor_client.get(f"{URL}?integration_id={grant.integration_id}").text
    assert "Revoke" not in page
    assert 'type="checkbox"' not in page


def test_without_access_it_says_so(auditor_client):
    assert "Nobody has access right now" in auditor_client.get(URL).text


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("/users/{0.request.requester_id}/", "user_id={0.request.requester_id}"),
        ("/access-flows/{0.request.flow_id}/edit/", "flow_id={0.request.flow_id}"),
        ("/integrations/{0.integration_id}/", "integration_id={0.integration_id}"),
    ],
)
def test_pages_of_user_flow_and_integration_show_their_own(admin_client, page, query):
    grant, other = grant_of(), grant_of(name="Max Member")
    text = admin_client.get(page.format(grant)).text
    assert f"{URL}?{query.format(grant)}" in text
    assert grant.request.reference in text
    assert f"{other.request.reference}<" not in text
