"""The pages of requests: what they show, and to whom."""

import re

import pytest
from django.urls import reverse

from bench.speed.query_report import MAX_STATEMENTS, MAX_STATEMENTS_OF
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
def test_page_without_rows_opens(member_client, page):
    assert member_client.get(reverse(f"requests:{page}")).status_code == 200


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_request_page_shows_the_status(signed_in, status):
    access_request = AccessRequestFactory(status=status, final_status=Status.REVOKED)
    address = reverse("requests:detail", args=[access_request.pk])
    answer = signed_in(access_request.requester).get(address)
    assert answer.status_code == 200
    assert status.label in answer.content.decode()


def test_access_revoked_before_activation_comes_last(member_client, member_user):
    never_active = AccessRequestFactory(
        requester=member_user, status=Status.REVOKING, starts_at=None, ends_at=None
    )
    active = AccessRequestFactory(requester=member_user, status=Status.ACTIVE)
    assert access_overview(member_user).active == [active, never_active]
    assert member_client.get(reverse("requests:my_access")).status_code == 200


@pytest.mark.parametrize("status", EVERY_STATUS)
def test_lists_show_a_request_of_any_status(signed_in, status):
    access_request = AccessRequestFactory(status=status)
    for page in ("my_access", "list"):
        answer = signed_in(access_request.requester).get(reverse(f"requests:{page}"))
        assert access_request.reference in answer.content.decode()


def test_active_request_offers_its_credential_and_revocation(signed_in):
    grant = GrantFactory(login="jit_abc", login_mark="1")
    answer = signed_in(grant.request.requester).get(
        reverse("requests:detail", args=[grant.request_id])
    )
    page = answer.content.decode()
    for word in ("Reveal credentials", "Revoke now", "jit_abc", "left"):
        assert word in page


@pytest.mark.parametrize(("targets", "look"), [(1, "btn-primary"), (2, "btn-tonal")])
def test_only_a_single_reveal_button_is_primary(signed_in, targets, look):
    person = UserFactory()
    flow = AccessFlowFactory(requester_users=[person], targets=targets)
    access_request = AccessRequestFactory(requester=person, flow=flow, status=Status.ACTIVE)
    for number, target in enumerate(flow.targets.all(), start=1):
        GrantFactory(
            request=access_request,
            resource=target.resource,
            login=f"jit_{number}",
            login_mark=str(number),
        )
    page = (
        signed_in(person).get(reverse("requests:detail", args=[access_request.pk])).content.decode()
    )
    assert re.findall(r'btn (btn-\w+)"><svg[^>]*><use href="#i-eye"', page) == [look] * targets


def test_request_of_another_user_is_not_found(signed_in):
    access_request = AccessRequestFactory()
    stranger = signed_in(UserFactory())
    assert stranger.get(reverse("requests:detail", args=[access_request.pk])).status_code == 404
    for action in ("reveal", "revoke", "cancel"):
        assert (
            stranger.post(reverse(f"requests:{action}", args=[access_request.pk])).status_code
            == 404
        )


def test_number_too_large_for_the_database_is_not_found(member_client):
    assert member_client.get(f"/requests/AR-{10**30}/").status_code == 404


def test_auditor_sees_no_actions(signed_in, auditor_user):
    grant = GrantFactory(login="jit_abc", login_mark="1")
    page = signed_in(auditor_user).get(reverse("requests:detail", args=[grant.request_id]))
    assert page.status_code == 200
    assert "Reveal credentials" not in page.content.decode()
    assert "Revoke now" not in page.content.decode()


def test_breadcrumb_is_the_list_with_the_request(signed_in, auditor_user):
    grant = GrantFactory(login="jit_abc", login_mark="1")
    address = reverse("requests:detail", args=[grant.request_id])
    for viewer, path in (
        (grant.request.requester, ["Portal", "My Requests"]),
        (auditor_user, ["Admin", "Activity"]),
    ):
        page = signed_in(viewer).get(address).content.decode()
        crumbs = page.partition('aria-label="Breadcrumb">')[2].partition("</nav>")[0]
        assert re.findall(r"<(?:a|span)[^>]*>([^<]+)<", crumbs)[:-1] == path
        [current] = re.findall(r'aria-current="true"[^>]*><svg.*?</svg>([A-Z][A-Za-z ]+)', page)
        assert current == path[1]


def test_queue_shows_its_oldest_request(signed_in):
    approver = UserFactory()
    flow = AccessFlowFactory(approval="any_of", approver_users=[approver], targets=1)
    access_request = AccessRequestFactory(flow=flow, status=Status.PENDING_APPROVAL)
    page = signed_in(approver).get(reverse("requests:approvals")).content.decode()
    assert access_request.justification in page
    assert "Approve" in page
    assert "Reject" in page


def test_step_up_redirects_to_set_up_without_mfa(member_client):
    answer = member_client.get(reverse("requests:step_up"))
    assert answer.headers["Location"] == reverse("mfa:security")


def test_step_up_lists_the_requests_it_releases(signed_in):
    user = AuthenticatorFactory().user
    flow = AccessFlowFactory(require_mfa=True, requester_users=[user], targets=1)
    access_request = AccessRequestFactory(requester=user, flow=flow, status=Status.PENDING_MFA)
    page = signed_in(user).get(reverse("requests:step_up")).content.decode()
    assert access_request.reference in page
    assert "Granted immediately, for" in page


@pytest.mark.parametrize("page", ["my_access", "list", "approvals", "new"])
def test_query_count_does_not_depend_on_rows(
    signed_in, page, django_assert_max_num_queries, django_assert_num_queries
):
    user = UserFactory()
    add_rows(user)
    client = signed_in(user)
    limit = MAX_STATEMENTS_OF["new request"] if page == "new" else MAX_STATEMENTS
    with django_assert_max_num_queries(limit) as few:
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
