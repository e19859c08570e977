"""The Set Up MFA banner: for everybody who has not enrolled, once one active flow requires MFA."""

import pytest

from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    UserFactory,
    set_requesters,
)

BANNER = ">Set Up MFA</a>"


def page(client):
    return client.get("/account/password/").content.decode().partition("<main")[2]


def banner_in(client):
    return BANNER in page(client)


@pytest.mark.parametrize("role", ["admin", "auditor", "member"])
def test_everybody_who_has_not_enrolled_sees_it(db, signed_in, role):
    client = signed_in(UserFactory(role=role))
    assert not banner_in(client)
    AccessFlowFactory(require_mfa=True)
    assert banner_in(client)


def test_it_says_so_to_those_who_can_request_nothing(member_user, member_client):
    flow = AccessFlowFactory(require_mfa=True)
    assert "Some access in this portal requires MFA." in page(member_client)
    set_requesters(flow, users=[member_user])
    assert "Some access you can request requires MFA." in page(member_client)


@pytest.mark.parametrize(
    "flow", [{"require_mfa": False}, {"require_mfa": True, "is_active": False}]
)
def test_without_an_active_flow_that_requires_mfa_there_is_none(member_client, flow):
    AccessFlowFactory(**flow)
    assert not banner_in(member_client)


def test_once_enrolled_it_disappears(member_user, member_client):
    AccessFlowFactory(require_mfa=True)
    AuthenticatorFactory(user=member_user)
    assert not banner_in(member_client)


def test_anonymous_visitors_see_none(client, db):
    AccessFlowFactory(require_mfa=True)
    assert BANNER not in client.get("/sign-in/").content.decode()


def test_it_is_the_only_amber_notice_about_a_request_that_waits(db, signed_in):
    flow = AccessFlowFactory(require_mfa=True, targets=1)
    request = AccessRequestFactory(status="pending_mfa", flow=flow)
    client = signed_in(request.requester)
    shown = client.get(f"/requests/{request.reference}/").content.decode()
    assert BANNER in shown
    assert "notice-amber" not in shown
    assert "Waiting for your code" in shown
