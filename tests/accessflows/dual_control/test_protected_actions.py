"""What weakens protection is applied once a second admin has confirmed it, and never before."""

from dataclasses import replace
from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.management import call_command
from django.db import connections
from django.utils import timezone

from accessflows.dual_control.actions import ACTIONS
from accessflows.dual_control.services import (
    confirm_change,
    expire_changes,
    reject_change,
    withdraw_change,
)
from accessflows.exceptions import Refused
from accessflows.flows.history import create_version
from accessflows.flows.protection import creation_of, weakenings_of_targets
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow, ProposedChange
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import User
from audit.models import Event
from mfa.exceptions import NotAllowed, WindowClosed
from tests.accessflows.dual_control.conftest import (
    ATTEMPTS,
    acting,
    add_admin,
    confirm,
    edit_flow,
    make_admin,
    move_integration,
    propose,
)
from tests.factories import AccessFlowFactory, UserFactory

State = ProposedChange.State


@pytest.fixture(params=ATTEMPTS.values(), ids=ATTEMPTS.keys())
def attempt(request, db):
    return request.param()


def test_a_second_admin_confirms_it_and_the_first_cannot(attempt, ada, grace):
    proposed = propose(ada, attempt)
    assert not attempt.is_applied()
    with pytest.raises(Refused, match="Another admin must confirm"):
        confirm(ada, proposed)
    assert not attempt.is_applied()
    confirm(grace, proposed)
    assert attempt.is_applied()
    applied = Event.objects.exclude(event__startswith="change:").filter(actor_id=grace.pk).first()
    assert applied.metadata["proposed_by"] == str(ada)
    assert applied.metadata["confirmed_by"] == str(grace)
    with pytest.raises(Refused, match="no longer pending"):
        confirm(grace, proposed)


@pytest.mark.parametrize("name", sorted(ATTEMPTS.keys() - {"new admin"}))
def test_it_is_not_applied_to_something_that_changed_since(name, ada, grace):
    attempt = ATTEMPTS[name]()
    proposed = propose(ada, attempt)
    attempt.spoil()
    with pytest.raises(Refused, match="changed since"):
        confirm(grace, proposed)
    assert not attempt.is_applied()
    assert ProposedChange.objects.get().state == State.PENDING


def test_every_declared_action_is_attempted_here(ada):
    names = ATTEMPTS.keys() - {name for name in ATTEMPTS if "longer" in name or "verif" in name}
    attempted = {propose(ada, ATTEMPTS[name]()).action for name in sorted(names)}
    assert attempted | {"flow:create"} == set(ACTIONS)


@pytest.mark.parametrize(
    "edit",
    [
        lambda: edit_flow({}, require_mfa=True),
        lambda: edit_flow({"require_mfa": True}, mfa_strength="device_bound"),
        lambda: edit_flow({}, max_duration=timedelta(hours=1)),
        lambda: edit_flow({}, description="Orders of the shop"),
    ],
    ids=["require_mfa", "stronger", "shorter", "description"],
)
def test_what_protects_as_much_needs_one_admin(db, edit, ada):
    attempt = edit()
    attempt.call(**acting(ada))
    assert attempt.is_applied()


def test_without_the_setting_one_admin_is_enough(attempt, ada, settings):
    settings.DUAL_CONTROL = False
    attempt.call(**acting(ada))
    assert attempt.is_applied()


def test_a_copy_with_weaker_terms_is_as_weak(ada):
    flow = AccessFlowFactory(require_mfa=True, targets=1, requester_users=[UserFactory()])
    copy = replace(FlowInput.of(flow), name="Copy", require_mfa=False)
    assert list(weakenings_of_targets(copy, copy.targets)) == ["Requests need no MFA."]
    assert not list(weakenings_of_targets(replace(copy, require_mfa=True), copy.targets))
    change = creation_of(copy)
    assert change.action.load(change.action.dump(change.arguments)) == change.arguments


def test_removing_the_stronger_flow_first_makes_no_way_for_a_weaker_one(ada):
    flow = AccessFlowFactory(require_mfa=True, targets=1)
    weaker = replace(FlowInput.of(flow), require_mfa=False)
    create_version(flow=flow, changed_by=ada)
    AccessFlow.objects.update(is_active=False)
    assert list(weakenings_of_targets(weaker, weaker.targets)) == ["Requests need no MFA."]
    flow.delete()
    assert list(weakenings_of_targets(weaker, weaker.targets)) == ["Requests need no MFA."]
    never_given = FlowInput.of(AccessFlowFactory(is_active=False, targets=1))
    assert not list(weakenings_of_targets(never_given, never_given.targets))


def test_a_change_expires(ada, grace, time_machine):
    attempt = make_admin()
    proposed = propose(ada, attempt)
    time_machine.move_to(proposed.expires_at)
    with pytest.raises(Refused, match="expired"):
        confirm(grace, proposed)
    expire_changes(now=timezone.now())
    proposed.refresh_from_db()
    assert (proposed.state, proposed.encrypted_content) == (State.EXPIRED, "")
    assert not attempt.is_applied()
    assert Event.objects.filter(event="change:expire").count() == 1


def test_it_is_rejected_by_another_and_withdrawn_by_its_own_admin(ada, grace):
    for end, wrong, right, state in (
        (reject_change, ada, grace, State.REJECTED),
        (withdraw_change, grace, ada, State.WITHDRAWN),
    ):
        attempt = make_admin()
        proposed = propose(ada, attempt)
        with pytest.raises(Refused):
            end(**acting(wrong), proposed=proposed)
        end(**acting(right), proposed=proposed)
        proposed.refresh_from_db()
        assert (proposed.state, proposed.decided_by_label) == (state, str(right))
        with pytest.raises(Refused, match="no longer pending"):
            confirm(grace, proposed)
        assert not attempt.is_applied()


def test_only_an_admin_with_an_open_window_confirms(ada, grace, settings):
    attempt = make_admin()
    proposed = propose(ada, attempt)
    for role in ("auditor", "member"):
        with pytest.raises(NotAllowed):
            confirm(UserFactory(role=role), proposed)
    settings.MFA_ADMINS_MUST_ENROL = (
        False  # an admin without MFA may act alone, never as the second
    )
    with pytest.raises(WindowClosed):
        confirm_change(actor=grace, window=None, proposed=proposed, client_info=SYSTEM)
    assert not attempt.is_applied()


@pytest.mark.parametrize("lost", [{"role": "member"}, {"is_active": False}], ids=["role", "active"])
def test_a_former_admin_is_no_first_admin(ada, grace, lost):
    attempt = make_admin()
    proposed = propose(ada, attempt)
    User.objects.filter(pk=ada.pk).update(**lost)
    with pytest.raises(Refused, match="no longer an admin"):
        confirm(grace, proposed)
    assert not attempt.is_applied()


def test_what_was_written_into_the_database_is_not_confirmed(ada, grace):
    harmless, harmful = make_admin(), move_integration()
    one, other = propose(ada, harmless), propose(ada, harmful)
    for edited in (
        {"proposer": UserFactory(admin=True)},
        {"expires_at": timezone.now() + timedelta(days=300)},
        {"title": "Something harmless"},
        {"encrypted_content": other.encrypted_content},
    ):
        before = ProposedChange.objects.filter(pk=one.pk).values(*edited).get()
        ProposedChange.objects.filter(pk=one.pk).update(**edited)
        with pytest.raises(Refused, match="altered"):
            confirm(grace, ProposedChange.objects.get(pk=one.pk))
        ProposedChange.objects.filter(pk=one.pk).update(**before)
    assert not harmless.is_applied()
    assert not harmful.is_applied()


def test_the_password_of_a_change_is_stored_encrypted_and_forgotten(ada, grace):
    proposed = propose(ada, move_integration())
    assert "moved-password" not in str(ProposedChange.objects.values())
    confirm(grace, proposed)
    assert ProposedChange.objects.get().encrypted_content == ""
    assert "moved-password" not in str(list(Event.objects.values()))


def test_a_new_proposal_replaces_ones_own_earlier_one(ada):
    attempt = make_admin()
    propose(ada, attempt)
    propose(ada, attempt)
    assert sorted(ProposedChange.objects.values_list("state", flat=True)) == [
        State.PENDING,
        State.WITHDRAWN,
    ]


def test_keys_can_be_rotated_while_changes_wait(ada, grace, settings):
    attempt = make_admin()
    proposed = propose(ada, attempt)
    old = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = f"t2:{'A' * 86}==,{old}"
    call_command("rotate_keys")
    settings.ENCRYPTION_KEYS = f"t2:{'A' * 86}=="
    confirm(grace, ProposedChange.objects.get(pk=proposed.pk))
    assert attempt.is_applied()


@pytest.mark.django_db(transaction=True)
def test_of_two_confirmations_at_once_one_is_applied(ada, grace):
    proposed = propose(ada, add_admin())
    third = UserFactory(admin=True)
    contexts = [acting(grace), acting(third)]
    start, refusals = Barrier(2), []

    def run(context):
        try:
            start.wait(10)
            confirm_change(**context, proposed=proposed)
        except Refused as refused:
            refusals.append(refused.sentence)
        finally:
            connections.close_all()

    threads = [Thread(target=run, args=(context,)) for context in contexts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(refusals) == 1
    assert "no longer pending" in refusals[0]
    assert User.objects.filter(email="new@example.org").count() == 1
    assert Event.objects.filter(event="change:confirm").count() == 1
