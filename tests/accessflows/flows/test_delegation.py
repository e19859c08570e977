"""Permissions with which users could give others access need a flow that allows them."""

from datetime import timedelta

import pytest

from accessflows.exceptions import InvalidInput
from accessflows.flows.impact import impact_of_draft
from accessflows.flows.services import change_flow
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import AccessFlow
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from tests.factories import AccessFlowFactory, UserFactory, fresh_window

pytestmark = pytest.mark.django_db

SENTENCE = "orders_owner owns objects, so grantees could give others access to them."


@pytest.fixture
def flow() -> AccessFlow:
    flow = AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    permission = flow.targets.get().permission
    permission.rights = {"delegation": SENTENCE}
    permission.save()
    return flow


def terms_of(flow: AccessFlow, **changes: object) -> FlowInput:
    terms = vars(FlowInput.of(flow)) | {"max_duration": timedelta(hours=2)} | changes
    return FlowInput(**terms)


def test_it_is_refused_unless_allowed(flow):
    with pytest.raises(InvalidInput) as refused:
        check_terms(terms_of(flow), flow=flow)
    assert refused.value.errors["targets"] == (
        f'{SENTENCE} Remove it, or turn on "Allow permissions that can give others access".'
    )
    check_terms(terms_of(flow, allow_delegation=True), flow=flow)


def test_the_preview_says_how_access_could_be_passed_on(flow):
    assert impact_of_draft(terms_of(flow), flow).delegations == ()
    draft = impact_of_draft(terms_of(flow, allow_delegation=True), flow)
    assert draft.delegations == (SENTENCE,)
    assert "Allow permissions that can give others access" in {
        one.term for one in draft.differences
    }


def test_allowing_it_is_recorded_and_shown_on_the_form(flow, admin_client, admin_user):
    terms = terms_of(flow, allow_delegation=True)
    change_flow(
        actor=admin_user,
        window=fresh_window(admin_user),
        flow=flow,
        terms=terms,
        seen_version=flow.version,
        client_info=SYSTEM,
    )
    changes = Event.objects.get(event="flow:change").metadata["changes"]
    term = "Allow permissions that can give others access"
    assert {"term": term, "before": "Off", "after": "On"} in changes
    page = admin_client.get(f"/access-flows/{flow.pk}/edit/").content.decode()
    assert "is reported and revoked when their access ends" in page
