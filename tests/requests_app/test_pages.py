"""Pages of requests: what each answers, for whom, and with what."""

import re

import pytest
from django.urls import reverse

from requests_app.models import Status
from requests_app.selectors import access_overview
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

EVERY_STATUS = list(Status)


@pytest.mark.parametrize("page", ["my_access", "list", "new", "approvals"])
def test_a_page_without_rows_opens(member_client, page):
    assert member_client.get(reverse(f"requests:{page}")).status_code == 200


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_the_page_of_a_request_says_its_status(signed_in, status):
    ask = AccessRequestFactory(status=status, final_status=Status.REVOKED)
    answer = signed_in(ask.requester).get(reverse("requests:detail", args=[ask.pk]))
    assert answer.status_code == 200
    assert status.label in answer.content.decode()


def test_what_ended_before_it_was_opened_stands_behind_what_is_open(member_client, member_user):
    stopped = AccessRequestFactory(
        requester=member_user, status=Status.REVOKING, starts_at=None, ends_at=None
    )
    opened = AccessRequestFactory(requester=member_user, status=Status.ACTIVE)
    assert access_overview(member_user)["in_use"] == [opened, stopped]
    assert member_client.get(reverse("requests:my_access")).status_code == 200


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_lists_show_a_request_of_any_status(signed_in, status):
    ask = AccessRequestFactory(status=status)
    for page in ("my_access", "list"):
        answer = signed_in(ask.requester).get(reverse(f"requests:{page}"))
        assert ask.reference in answer.content.decode()


def test_the_page_of_an_open_request_offers_its_credential_and_its_end(signed_in):
    grant = GrantFactory(login="jit_abc", login_oid=1)
    answer = signed_in(grant.request.requester).get(
        reverse("requests:detail", args=[grant.request_id])
    )
    page = answer.content.decode()
    for word in ("Reveal credentials", "End now", "jit_abc", "left"):
        assert word in page


@pytest.mark.parametrize(("targets", "look"), [(1, "btn-primary"), (2, "btn-tonal")])
def test_one_button_is_filled_and_repeated_ones_are_not(signed_in, targets, look):
    person = UserFactory()
    flow = AccessFlowFactory(requester_users=[person], targets=targets)
    ask = AccessRequestFactory(requester=person, flow=flow, status=Status.ACTIVE)
    for number, target in enumerate(flow.targets.all(), start=1):
        GrantFactory(request=ask, resource=target.resource, login=f"jit_{number}", login_oid=number)
    page = signed_in(person).get(reverse("requests:detail", args=[ask.pk])).content.decode()
    assert re.findall(r'btn (btn-\w+)"><svg[^>]*><use href="#i-eye"', page) == [look] * targets


def test_another_persons_request_is_not_found(signed_in):
    ask = AccessRequestFactory()
    stranger = signed_in(UserFactory())
    assert stranger.get(reverse("requests:detail", args=[ask.pk])).status_code == 404
    for action in ("reveal", "end", "cancel"):
        assert stranger.post(reverse(f"requests:{action}", args=[ask.pk])).status_code == 404


def test_a_number_beyond_the_database_is_not_found(member_client):
    assert member_client.get(f"/requests/AR-{10**30}/").status_code == 404


def test_an_auditor_reads_but_is_offered_nothing(signed_in, auditor_user):
    grant = GrantFactory(login="jit_abc", login_oid=1)
    page = signed_in(auditor_user).get(reverse("requests:detail", args=[grant.request_id]))
    assert page.status_code == 200
    assert "Reveal credentials" not in page.content.decode()
    assert "End now" not in page.content.decode()


def test_the_way_to_a_request_is_the_list_it_stands_in(signed_in, auditor_user):
    grant = GrantFactory(login="jit_abc", login_oid=1)
    address = reverse("requests:detail", args=[grant.request_id])
    for viewer, way in (
        (grant.request.requester, ["Portal", "My Requests"]),
        (auditor_user, ["Admin", "Activity"]),
    ):
        page = signed_in(viewer).get(address).content.decode()
        crumbs = page.partition('aria-label="Breadcrumb">')[2].partition("</nav>")[0]
        assert re.findall(r"<(?:a|span)[^>]*>([^<]+)<", crumbs)[:-1] == way
        [current] = re.findall(r'aria-current="true"[^>]*><svg.*?</svg>([A-Z][A-Za-z ]+)', page)
        assert current == way[1]


def test_the_queue_opens_its_oldest_request(signed_in):
    approver = UserFactory()
    flow = AccessFlowFactory(approval="any_of", approver_users=[approver], targets=1)
    ask = AccessRequestFactory(flow=flow, status=Status.PENDING_APPROVAL)
    page = signed_in(approver).get(reverse("requests:approvals")).content.decode()
    assert ask.justification in page
    assert "Approve" in page
    assert "Reject" in page


def test_step_up_leads_the_unenrolled_to_set_up(member_client):
    answer = member_client.get(reverse("requests:step_up"))
    assert answer.headers["Location"] == reverse("mfa:security")


def test_step_up_lists_what_it_releases(signed_in):
    user = AuthenticatorFactory().user
    flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    ask = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
    page = signed_in(user).get(reverse("requests:step_up")).content.decode()
    assert ask.reference in page
    assert "Then it opens at once." in page


@pytest.mark.parametrize("page", ["my_access", "list", "approvals", "new"])
def test_a_page_asks_the_same_questions_for_one_row_and_for_many(
    signed_in, page, django_assert_max_num_queries, django_assert_num_queries
):
    user = UserFactory()
    add_rows(user)
    client = signed_in(user)
    with django_assert_max_num_queries(40) as few:
        client.get(reverse(f"requests:{page}"))
    for _ in range(9):
        add_rows(user)
    with django_assert_num_queries(len(few)):
        client.get(reverse(f"requests:{page}"))


def add_rows(user):
    mine = AccessFlowFactory(requester_users=[user], targets=2)
    for status in (Status.ACTIVE, Status.PENDING_MFA, Status.EXPIRED):
        AccessRequestFactory(requester=user, flow=mine, status=status)
    theirs = AccessFlowFactory(approval="any_of", approver_users=[user], targets=1)
    AccessRequestFactory(flow=theirs, status=Status.PENDING_APPROVAL)
