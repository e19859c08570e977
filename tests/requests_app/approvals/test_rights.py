"""The effective rights of a permission are shown on request and approval pages."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accessflows.models import AccessFlow, Permission, Resource
from requests_app.exceptions import RequestRefused
from requests_app.grants.revocation import revoke_access
from requests_app.models import GrantState, Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    IntegrationFactory,
    PermissionFactory,
    ResourceFactory,
    UserFactory,
    take_fingerprint,
)

pytestmark = pytest.mark.django_db
SENTENCE = "Read every table in schema sales"


@pytest.fixture
def flow(member_user):
    approver = UserFactory()
    flow = AccessFlowFactory(
        requester_users=[member_user],
        approver_users=[approver],
        approval=AccessFlow.Approval.ANY_OF,
    )
    integration = IntegrationFactory()
    target = flow.targets.create(
        resource=ResourceFactory(integration=integration),
        permission=PermissionFactory(integration=integration),
    )
    take_fingerprint(flow)
    words = {target.resource.name: [SENTENCE], "another": ["Drop everything"]}
    Permission.objects.filter(pk=target.permission_id).update(rights={"words": words})
    return flow


def test_requester_sees_rights_when_selecting(flow, member_client):
    page = member_client.get(reverse("requests:new")).content.decode()
    assert SENTENCE in page
    assert "Drop everything" not in page


def test_requester_and_approver_see_rights_on_their_pages(flow, member_user, member_client, client):
    access_request = AccessRequestFactory(
        flow=flow, requester=member_user, status=Status.PENDING_APPROVAL
    )
    client.force_login(flow.approver_users.get())
    pages = (
        member_client.get(reverse("requests:detail", args=[access_request.pk])),
        client.get(reverse("requests:decide", args=[access_request.pk])),
    )
    assert [SENTENCE in page.content.decode() for page in pages] == [True, True]


@pytest.mark.parametrize("offered", [Resource, Permission])
def test_dropped_target_cannot_be_requested(flow, member_user, offered):
    from tests.fixtures.submission import submit_request

    draft = {"target_ids": [flow.targets.get().pk], "duration": flow.max_duration}
    offered.objects.update(missing_since=timezone.now())
    with pytest.raises(RequestRefused, match="Select again"):
        submit_request(
            actor=member_user, flow=flow, justification="Fix order 7", window=None, **draft
        )


def test_dropped_target_can_still_be_revoked():
    grant = GrantFactory(login="jit_x", login_mark="1", system_identifier="1")
    Resource.objects.update(missing_since=timezone.now())
    revoke_access(actor=grant.request.requester, request=grant.request)
    grant.refresh_from_db()
    assert grant.state == GrantState.REVOKING
