"""Access flows as code over a token: nothing is applied before its admin confirmed it in a browser."""

import json

import pytest

from accessflows.models import AccessFlow
from apono_portal.api.models import PlanConfirmation
from apono_portal.api.scopes import Scope
from audit.models import Event
from tests.accessflows.flows.files.conftest import (  # noqa: F401
    hook,
    minimal,
    people,
    running_receiver,
)
from tests.factories import AuthenticatorFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hook", "people")]


@pytest.fixture
def admin(admin_user):
    AuthenticatorFactory(user=admin_user)
    return admin_user


@pytest.fixture
def client(api_of, admin):
    return api_of(admin)


def plan(client, document=None, **body):
    sent = {"document": document or minimal(), "file": "flows.yaml", **body}
    return client.post("/flows/plan", sent)


def path_of(url: str) -> str:
    return url.removeprefix("http://localhost:8000").removeprefix("http://testserver")


def test_a_plan_is_applied_once_its_admin_confirmed_it(client, admin, verified):
    planned = plan(client, commit="4f2a").json()
    assert planned["has_changes"]
    assert planned["changes"][0]["actions"] == ["create"]
    refused = client.post("/flows/apply", {"plan": planned["plan"]})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (403, "mfa_required")
    assert not AccessFlow.objects.exists()

    browser, page = verified(admin), path_of(problem["step_up_url"])
    assert "+ Deploy (to create)" in browser.get(page).content.decode()
    assert browser.post(page).status_code == 302
    applied = client.post("/flows/apply", {"plan": planned["plan"]})
    assert applied.status_code == 200, applied.content
    flow = AccessFlow.objects.get()
    assert flow.managed_by_file == "flows.yaml"
    event = Event.objects.get(event="flow:create")
    assert event.metadata["token"]["id"] == client.token.pk
    assert event.metadata["file"]["commit"] == "4f2a"
    assert client.get(f"/flows/{flow.pk}").json()["managed_by_file"] == "flows.yaml"
    again = client.post("/flows/apply", {"plan": planned["plan"]})
    assert again.status_code == 409


def test_a_confirmation_is_for_one_plan_and_one_token(client, api_of, admin, verified):
    confirmed = plan(client).json()["plan"]
    url = client.post("/flows/apply", {"plan": confirmed}).json()["step_up_url"]
    verified(admin).post(path_of(url))
    other = plan(client, minimal(require_mfa="false")).json()["plan"]
    assert client.post("/flows/apply", {"plan": other}).status_code == 403
    assert api_of(admin).post("/flows/apply", {"plan": confirmed}).status_code == 403
    assert not AccessFlow.objects.exists()


@pytest.mark.parametrize("column", ["verification", "plan_hash", "token"])
def test_a_confirmation_written_to_the_database_is_none(client, api_of, admin, verified, column):
    confirmed, other = plan(client).json()["plan"], plan(client, minimal(name="B")).json()["plan"]
    url = client.post("/flows/apply", {"plan": confirmed}).json()["step_up_url"]
    client.post("/flows/apply", {"plan": other})
    verified(admin).post(path_of(url))
    good, wanted = PlanConfirmation.objects.order_by("pk")
    if column == "verification":
        PlanConfirmation.objects.filter(pk=wanted.pk).update(verification=good.verification)
        answer = client.post("/flows/apply", {"plan": other})
    elif column == "plan_hash":
        digest = wanted.plan_hash
        wanted.delete()
        PlanConfirmation.objects.filter(pk=good.pk).update(plan_hash=digest)
        answer = client.post("/flows/apply", {"plan": other})
    else:
        thief = api_of(admin)
        PlanConfirmation.objects.filter(pk=good.pk).update(token=thief.token)
        answer = thief.post("/flows/apply", {"plan": confirmed})
    assert answer.status_code == 403
    assert not AccessFlow.objects.exists()


def test_someone_else_cannot_confirm(client, verified):
    from tests.factories import UserFactory

    url = client.post("/flows/apply", {"plan": plan(client).json()["plan"]}).json()["step_up_url"]
    other = UserFactory(role="admin")
    assert verified(other).post(path_of(url)).status_code == 404


def test_an_admin_without_mfa_sets_it_up_first(api_of, admin_user):
    client = api_of(admin_user)
    answer = client.post("/flows/apply", {"plan": plan(client).json()["plan"]})
    assert answer.status_code == 403
    assert not AccessFlow.objects.exists()


def test_errors_are_problems_with_lines(client):
    answer = plan(client, minimal(require_mfa="", approval=""))
    assert answer.status_code == 422
    messages = [error["message"] for error in answer.json()["errors"]]
    assert len(messages) == 2
    assert all(message.startswith("Line 4: ") for message in messages)
    text = json.loads(plan(client).json()["plan"])
    text["document"] = minimal(require_mfa="false")
    altered = client.post("/flows/apply", {"plan": json.dumps(text)})
    assert (altered.status_code, altered.json()["code"]) == (422, "refused")
    assert not PlanConfirmation.objects.exists()


def test_only_admins_plan_and_auditors_export(api_of, auditor_user, member_user):
    assert api_of(auditor_user).get("/flows/export").status_code == 200
    assert plan(api_of(auditor_user)).status_code == 403
    assert plan(api_of(member_user)).status_code == 403


def test_reading_flows_does_not_permit_planning(api_of, admin):
    assert plan(api_of(admin, [Scope.FLOWS_READ])).status_code == 403
