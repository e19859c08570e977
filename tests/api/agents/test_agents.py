"""What an AI agent may do for its user: less than the user, through flows that allow it, and marked."""

from datetime import timedelta

import pytest

from accessflows.exceptions import InvalidInput
from accessflows.flows.terms import FlowInput
from accessflows.flows.validation import check_terms
from accessflows.models import AccessFlow
from apono_portal.api.exceptions import TokenError
from apono_portal.api.models import ApiToken
from apono_portal.api.scopes import Scope
from apono_portal.api.tokens.services import TokenTerms, confirm_token, create_token
from apono_portal.core.web.client import SYSTEM, ClientInfo
from audit.models import Event
from requests_app.approvals.services import APPROVE, decide_request
from requests_app.exceptions import RequestRefused
from requests_app.grants.revocation import revoke_access, revoke_ineligible
from requests_app.models import AccessRequest, Status
from tests.api.v1.test_access import reaches_target
from tests.api.v1.test_requests import body_for
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    GrantFactory,
    UserFactory,
    fresh_window,
    sign,
)

pytestmark = pytest.mark.django_db
NEW = "/account/tokens/new/agent/"
FORM = {"name": "helper", "days": "7", "scopes": ["inventory:read", "requests:write"]}
Agents = AccessFlow.Agents


def flow_for(user, agents: str = Agents.REQUEST, **fields) -> AccessFlow:
    return AccessFlowFactory(requester_users=[user], targets=1, agents=agents, **fields)


def grant_for(agent, flow):
    """Return active access that the agent requested through a flow."""
    user, token = agent.token.user, agent.token
    request = AccessRequestFactory(
        requester=user, flow=flow, status=Status.ACTIVE, duration=timedelta(hours=4)
    )
    request.token_id, request.token_name, request.by_agent = token.pk, token.name, True
    request.save()
    sign(request)
    return GrantFactory(request=request, login="apono_x", login_mark="1", system_identifier="1")


def test_its_user_makes_its_token_with_fewer_scopes_and_for_less_time(member_user, verified):
    browser = verified(member_user)
    assert "audit:read" not in browser.get(NEW).content.decode()
    for change in ({"scopes": ["approvals:write"]}, {"days": "31"}):
        assert browser.post(NEW, FORM | change).status_code == 422
    assert b"/mcp" in browser.post(NEW, FORM).content
    token = ApiToken.objects.get()
    assert token.is_agent
    assert Event.objects.get(event="token:create").metadata["agent"]
    assert "AI agent" in browser.get("/account/tokens/").content.decode()


def test_no_token_is_made_without_an_open_window_beyond_a_limit_or_by_a_token(
    member_user, signed_in
):
    assert signed_in(member_user).post(NEW, FORM).status_code == 302
    window, week = fresh_window(member_user), timedelta(days=7)
    by_token = ClientInfo(token=ApiToken(pk=1, name="helper", is_agent=True).info)
    attempts = [
        (TokenTerms("a", [Scope.REQUESTS_READ], timedelta(days=31), is_agent=True), SYSTEM),
        (TokenTerms("a", [Scope.APPROVALS_READ], week, is_agent=True), SYSTEM),
        (TokenTerms("a", [Scope.REQUESTS_READ], week), by_token),
    ]
    for terms, client_info in attempts:
        with pytest.raises(TokenError):
            create_token(actor=member_user, terms=terms, window=window, client_info=client_info)
    assert not ApiToken.objects.exists()


def test_a_flow_is_not_for_agents_unless_it_says_so(agent_of, api_of):
    user = UserFactory()
    agent, closed = agent_of(user), flow_for(user, Agents.NONE, name="Payroll")
    assert agent.get("/inventory").json()["items"] == []
    refused = agent.post("/requests", body_for(closed))
    assert refused.status_code == 422
    assert "Payroll is not open to AI agents." in refused.json()["detail"]
    [part] = agent.post("/requests/dry-run", body_for(closed)).json()["requests"]
    assert part["status"] is None
    assert api_of(user).post("/requests", body_for(closed)).status_code == 201
    assert AccessRequest.objects.get().by_agent is False


def test_what_it_requests_is_marked_wherever_it_is_shown(agent_of, signed_in, admin_client):
    user, approver = UserFactory(), UserFactory()
    flow = flow_for(user, approval="any_of", approver_users=[approver])
    agent = agent_of(user, name="release-bot")
    [created] = agent.post("/requests", body_for(flow)).json()["requests"]
    assert created["by_agent"]
    event = Event.objects.get(event="request:submit")
    assert event.metadata["token"] == {"id": agent.token.pk, "name": "release-bot", "agent": True}
    page = signed_in(approver).get(f"/approvals/{created['reference']}/").content.decode()
    assert "by an AI agent" in page
    assert "<bdi>release-bot</bdi>" in page
    assert "release-bot" in signed_in(user).get(created["url"]).content.decode()
    request = AccessRequest.objects.get()
    decide_request(
        actor=approver,
        request=request,
        verdict=APPROVE,
        reason="",
        fingerprint=request.flow_fingerprint,
        window=None,
    )
    assert Event.objects.get(event="request:approve").metadata["by_agent"]
    assert "AI agent" in admin_client.get("/audit-log/").content.decode()
    assert "AI agent" in admin_client.get("/activity/").content.decode()


def test_it_may_do_no_more_than_its_user(agent_of):
    user = UserFactory()
    agent, own = agent_of(user), flow_for(user, max_duration=timedelta(hours=1))
    other = flow_for(UserFactory())
    assert agent.post("/requests", body_for(own, duration="2h")).status_code == 422
    assert agent.post("/requests", body_for(other)).status_code == 422
    assert not AccessRequest.objects.exists()


def test_it_sees_and_touches_only_what_it_requested_itself(agent_of):
    user = UserFactory()
    agent, flow = agent_of(user), flow_for(user, Agents.REVEAL, max_extensions=1)
    grant = grant_for(agent_of(user), flow)
    assert agent.get("/requests").json()["items"] == []
    assert agent.get("/access").json()["items"] == []
    number = grant.request_id
    calls = [
        ("GET", f"/requests/{number}", None),
        ("POST", f"/requests/{number}/revoke", None),
        ("POST", f"/requests/{number}/cancel", None),
        ("POST", f"/requests/{number}/extend", {"extensions_used": 0}),
        ("POST", f"/requests/{number}/again", {}),
        ("POST", f"/access/{grant.pk}/reveal", None),
        ("POST", f"/access/{grant.pk}/reset", None),
    ]
    assert {agent.call(*call).status_code for call in calls} == {404}
    assert agent.get("/api/client/v1/access-requests").status_code == 403
    client_info = ClientInfo(token=agent.token.info)
    with pytest.raises(RequestRefused):
        revoke_access(actor=user, request=grant.request, client_info=client_info)
    with pytest.raises(TokenError):
        confirm_token(
            actor=user,
            token=agent.token,
            request=grant.request,
            window=fresh_window(user),
            client_info=SYSTEM,
        )


def test_its_protected_request_waits_for_its_user_who_keeps_the_credential(agent_of, verified):
    user = UserFactory()
    flow, browser = flow_for(user, require_mfa=True), verified(user)
    agent = agent_of(user, name="release-bot")
    answer = agent.post("/requests", body_for(flow)).json()
    [created] = answer["requests"]
    assert created["status"] == "pending_mfa"
    page = browser.get(answer["step_up_url"]).content.decode()
    assert "The AI agent <bdi>release-bot</bdi> requested" in page
    assert "the agent does not get it" in page


@pytest.mark.parametrize(
    ("requested_under", "now", "is_given"),
    [
        (Agents.REQUEST, Agents.REQUEST, False),
        (Agents.REVEAL, Agents.REQUEST, False),
        (Agents.REQUEST, Agents.REVEAL, False),
        (Agents.REVEAL, Agents.REVEAL, True),
    ],
)
def test_a_credential_goes_to_an_agent_only_if_the_flow_says_so_throughout(
    agent_of, requested_under, now, is_given
):
    user = UserFactory()
    agent, flow = agent_of(user), flow_for(user, requested_under)
    grant = grant_for(agent, flow)
    AccessFlow.objects.update(agents=now)
    response = agent.post(f"/access/{grant.pk}/reveal")
    assert reaches_target(response) is is_given
    if not is_given:
        assert response.status_code == 422
        assert "AI agents do not get this credential" in response.json()["detail"]
        grant.refresh_from_db()
        assert grant.revealed_at is None


def test_access_ends_when_the_flow_is_closed_to_agents(agent_of):
    user = UserFactory()
    flow = flow_for(user)
    by_agent, own = grant_for(agent_of(user), flow), AccessRequestFactory(requester=user, flow=flow)
    AccessFlow.objects.update(agents=Agents.NONE)
    revoke_ineligible()
    by_agent.request.refresh_from_db()
    own.refresh_from_db()
    assert by_agent.request.status == Status.REVOKING
    assert own.status == Status.GRANTING


def test_it_never_decides(agent_of):
    approver = UserFactory()
    flow = AccessFlowFactory(approval="any_of", approver_users=[approver], targets=1)
    request = AccessRequestFactory(flow=flow, status=Status.PENDING_APPROVAL)
    with pytest.raises(RequestRefused, match="AI agents"):
        decide_request(
            actor=approver,
            request=request,
            verdict=APPROVE,
            reason="",
            fingerprint=request.flow_fingerprint,
            window=None,
            client_info=ClientInfo(token=agent_of(approver).token.info),
        )


def test_it_cannot_use_up_what_its_user_may_have_waiting(agent_of, api_of):
    user = UserFactory()
    flow = flow_for(user, require_mfa=True)
    statuses = [agent_of(user).post("/requests", body_for(flow)).status_code for _ in range(6)]
    assert statuses == [201] * 5 + [422]
    assert api_of(user).post("/requests", body_for(flow)).status_code == 201


def test_who_writes_to_the_database_makes_no_agent_s_request_another_s(agent_of):
    user = UserFactory()
    agent, grants = agent_of(user), []
    for change in ({"agents": Agents.REVEAL}, {"by_agent": False}):
        grant = grant_for(agent, flow_for(user))
        AccessRequest.objects.filter(pk=grant.request_id).update(**change)
        grants.append(grant)
    AccessFlow.objects.update(agents=Agents.REVEAL)
    codes = [agent.post(f"/access/{grant.pk}/reveal").status_code for grant in grants]
    assert codes == [409, 409]


def test_its_token_opens_no_page_and_no_code_goes_with_it(agent_of):
    user = UserFactory()
    agent = agent_of(user)
    for path in ("/", NEW, "/account/step-up/", "/approvals/"):
        page = agent._client.get(path, headers={"Authorization": f"Bearer {agent.secret}"})
        assert page.status_code == 302
    flow = flow_for(user, require_mfa=True)
    body = body_for(flow, code="123456")
    assert agent.post("/requests", body).status_code == 422
    assert not AccessRequest.objects.exists()


def test_break_glass_is_not_for_agents():
    flow = flow_for(UserFactory())
    terms = FlowInput.of(flow)
    changed = {"break_glass": True, "require_mfa": True}
    with pytest.raises(InvalidInput):
        check_terms(type(terms)(**(vars(terms) | changed)), flow=flow)
