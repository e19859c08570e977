"""Applying plans: bound to the state they were made from, all or nothing, and recorded."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accessflows.exceptions import InvalidInput, Refused
from accessflows.flows.files.plan import Missing
from accessflows.flows.files.reader import FileRefused
from accessflows.flows.files.services import apply_plan, apply_plan_from_console
from accessflows.flows.services import change_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow, Permission
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from mfa.exceptions import NotAllowed, WindowClosed
from requests_app.deletion.flows import delete_flow
from tests.accessflows.flows.files.conftest import apply, minimal, plan_of
from tests.factories import AccessFlowFactory, AuthenticatorFactory, UserFactory, fresh_window

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("hook", "people")]


def by_console(text, admin=None):
    return apply_plan_from_console(admin=admin, operator="root", plan=text)


def test_events_name_file_commit_and_operator(admin_user):
    plan = plan_of(minimal(), commit="4f2a")
    by_console(plan.as_text(), admin_user)
    event = Event.objects.get(event="flow:create")
    assert event.actor_id == admin_user.pk
    recorded = {"name": "flows.yaml", "commit": "4f2a", "plan": plan.digest}
    assert event.metadata["file"] == recorded
    assert event.metadata["operator"] == "root"
    assert event.metadata["console"]
    flow = AccessFlow.objects.get()
    assert (flow.managed_by_file, flow.managed_commit) == ("flows.yaml", "4f2a")


def test_a_weaker_flow_is_marked():
    apply(minimal())
    plan = plan_of(minimal(require_mfa="false", max_duration="9 h"))
    assert plan.changes[0].weakened == ["Requests need no MFA.", "Access lasts up to 9 h."]


@pytest.mark.parametrize("what", ["flow", "other flow", "member", "permission"])
def test_a_plan_of_another_state_is_refused(people, what):
    text = plan_of(minimal()).as_text()
    if what == "flow":
        AccessFlowFactory(name="Deploy")
    elif what == "other flow":
        AccessFlowFactory(name="Other")
    elif what == "member":
        people[0].user_set.add(UserFactory())
    else:
        Permission.objects.filter(name="keeper").update(name="gone")
    before = AccessFlow.objects.count()
    with pytest.raises((Refused, FileRefused)):
        by_console(text)
    assert AccessFlow.objects.count() == before
    assert not Event.objects.filter(event="flow:create").exists()


def test_a_plan_applies_once_only():
    text = plan_of(minimal()).as_text()
    by_console(text)
    with pytest.raises(Refused, match="Something changed since"):
        by_console(text)
    assert AccessFlow.objects.get().version == 1


@pytest.mark.parametrize(
    "key", ["document", "digest", "missing", "file", "commit", "changes", "mac"]
)
def test_an_altered_plan_is_refused(key):
    content = json.loads(plan_of(minimal()).as_text())
    content[key] = {"document": minimal(require_mfa="false"), "missing": "deactivate"}.get(key, "x")
    with pytest.raises(Refused, match="altered"):
        by_console(json.dumps(content))
    assert not AccessFlow.objects.exists()


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"mac": 7}', "[" * 100_000])
def test_what_is_no_plan_is_refused(text):
    with pytest.raises(Refused, match="altered"):
        by_console(text)


@pytest.mark.django_db(transaction=True)
def test_of_two_applies_at_once_one_takes_effect(hook, people):
    text = plan_of(minimal()).as_text()

    def attempt(_number: int) -> str:
        try:
            by_console(text)
        except Refused:
            return "refused"
        finally:
            connection.close()
        return "applied"

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(attempt, range(2))) == ["applied", "refused"]
    assert AccessFlow.objects.get().version == 1


def test_all_of_a_plan_is_applied_or_nothing():
    AccessFlowFactory(name="A")
    second = minimal(name="Z").partition("flows:\n")[2]
    text = plan_of(minimal() + second).as_text()
    AccessFlow.objects.filter(name="A").update(version=9)
    with pytest.raises(Refused):
        by_console(text)
    assert AccessFlow.objects.count() == 1


def test_an_admin_needs_an_open_window(admin_user):
    AuthenticatorFactory(user=admin_user)
    text = plan_of(minimal()).as_text()
    arguments = {"actor": admin_user, "plan": text, "client_info": SYSTEM}
    with pytest.raises(WindowClosed):
        apply_plan(window=None, **arguments)
    assert not AccessFlow.objects.exists()
    apply_plan(window=fresh_window(admin_user), **arguments)
    assert AccessFlow.objects.get().require_mfa


def test_with_dual_control_no_admin_weakens_protection_by_a_plan(admin_user, settings):
    settings.DUAL_CONTROL = True
    who = {"actor": admin_user, "window": fresh_window(admin_user), "client_info": SYSTEM}
    apply_plan(**who, plan=plan_of(minimal()).as_text())
    for weaker in (minimal(require_mfa="false"), minimal(require_mfa="false", name="Other")):
        text = plan_of(weaker).as_text()
        with pytest.raises(Refused, match="Dual control is on"):
            apply_plan(**who, plan=text)
    assert AccessFlow.objects.get().require_mfa
    by_console(text)
    assert AccessFlow.objects.filter(require_mfa=False).exists()


@pytest.mark.parametrize("role", ["member", "auditor"])
def test_nobody_else_applies_a_plan(role):
    user = UserFactory(role=role)
    text = plan_of(minimal()).as_text()
    with pytest.raises(NotAllowed):
        apply_plan(actor=user, window=fresh_window(user), plan=text, client_info=SYSTEM)
    with pytest.raises(NotAllowed):
        by_console(text, user)


def test_a_managed_flow_can_only_be_deactivated_elsewhere(admin_user):
    apply(minimal())
    flow, window = AccessFlow.objects.get(), fresh_window(admin_user)
    who = {"actor": admin_user, "window": window, "client_info": SYSTEM, "flow": flow}
    with pytest.raises(Refused, match=r"managed by the file flows\.yaml"):
        change_flow(**who, terms=FlowInput.of(flow), seen_version=flow.version)
    with pytest.raises(Refused, match="managed by the file"):
        delete_flow(**who, reason="Not needed.")
    assert set_flow_active(**who, is_active=False)
    with pytest.raises(Refused, match="managed by the file"):
        set_flow_active(**who, is_active=True)
    flow.refresh_from_db()
    assert not flow.is_active
    change = plan_of(minimal(active="true")).changes[0]
    assert change.actions == ["activate"]
    assert change.weakened == ["It can be requested through again."]


def test_a_missing_flow_ends_only_if_that_is_planned():
    apply(minimal())
    empty = "version: 1\nflows: []\n"
    kept = plan_of(empty)
    assert (kept.changes, kept.left_out) == ([], ["Deploy"])
    apply(empty, missing=Missing.DEACTIVATE)
    flow = AccessFlow.objects.get()
    assert (flow.is_active, flow.managed_by_file) == (False, "")


def test_a_missing_flow_can_be_released():
    apply(minimal())
    apply("version: 1\nflows: []\n", missing=Missing.RELEASE)
    flow = AccessFlow.objects.get()
    assert (flow.is_active, flow.managed_by_file) == (True, "")


def test_a_flow_of_another_file_is_refused():
    apply(minimal())
    with pytest.raises(FileRefused, match=r"managed by flows\.yaml"):
        plan_of(minimal(), file="other.yaml")


def test_added_permissions_are_checked_with_their_target(hook):
    hook.kind, hook.port = "postgresql", 1
    hook.save()
    text = plan_of(minimal()).as_text()
    with pytest.raises(InvalidInput, match="could not be checked"):
        by_console(text)
    assert not AccessFlow.objects.exists()
