"""Two admins with MFA, and every protected action as somebody alone would try it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from accessflows.dual_control.actions import ConfirmationRequired
from accessflows.dual_control.services import confirm_change, propose_change
from accessflows.flows.services import change_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.integrations.address import integration_digest
from accessflows.integrations.services import change_integration
from accessflows.integrations.terms import ADDRESS_FIELDS, IntegrationInput
from accessflows.models import AccessFlow, FlowTarget, Integration, ProposedChange
from apono_portal.core.web.client import SYSTEM
from apono_portal.users.models import Role, User
from apono_portal.users.services import (
    change_user,
    create_user,
    reactivate_user,
    reset_mfa_of_user,
    user_digest,
)
from mfa.methods.selectors import is_enrolled
from mfa.models import Strength
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    GroupFactory,
    IntegrationFactory,
    UserFactory,
    fresh_window,
)


@dataclass
class Attempt:
    """A protected action on something: ``call`` is the service, ``spoil`` changes what it is about."""

    call: Callable[..., object]
    is_applied: Callable[[], bool]
    spoil: Callable[[], object] = lambda: None


def edit_flow(before: dict[str, Any], **after: Any) -> Attempt:
    flow = AccessFlowFactory(requester_users=[UserFactory()], targets=1, **before)
    terms = replace(FlowInput.of(flow), **after)

    def spoil() -> None:
        AccessFlow.objects.filter(pk=flow.pk).update(version=7)

    def is_applied() -> bool:
        return FlowInput.of(AccessFlow.objects.get(pk=flow.pk)) == terms

    def call(**context: Any) -> object:
        return change_flow(flow=flow, terms=terms, seen_version=flow.version, **context)

    return Attempt(call, is_applied, spoil)


def activate_weaker_flow() -> Attempt:
    strong = AccessFlowFactory(targets=1, require_mfa=True)
    target = strong.targets.get()
    weak = AccessFlowFactory(is_active=False)
    FlowTarget.objects.create(flow=weak, resource=target.resource, permission=target.permission)

    def call(**context: Any) -> object:
        return set_flow_active(flow=weak, is_active=True, **context)

    rows = AccessFlow.objects.filter(pk=weak.pk)
    return Attempt(
        call, lambda: rows.filter(is_active=True).exists(), lambda: rows.update(version=7)
    )


def move_integration() -> Attempt:
    integration = IntegrationFactory()
    fields = {name: getattr(integration, name) for name in ADDRESS_FIELDS} | {"host": "192.0.2.9"}
    terms = IntegrationInput(name=integration.name, password="moved-password", **fields)
    rows = Integration.objects.filter(pk=integration.pk)

    def call(**context: Any) -> object:
        seen = integration_digest(integration)
        return change_integration(integration=integration, terms=terms, seen=seen, **context)

    def is_applied() -> bool:
        now = rows.get()
        return now.host == "192.0.2.9" and now.broker_password == "moved-password"

    return Attempt(call, is_applied, lambda: rows.update(name="renamed"))


def make_admin() -> Attempt:
    user = UserFactory()
    rows = User.objects.filter(pk=user.pk)

    def call(**context: Any) -> object:
        profile = {"name": user.name, "role": Role.ADMIN, "groups": [], "seen": user_digest(user)}
        return change_user(user=user, **profile, **context)

    return Attempt(
        call, lambda: rows.filter(role=Role.ADMIN).exists(), lambda: rows.update(name="Renamed")
    )


def add_admin() -> Attempt:
    def call(**context: Any) -> object:
        profile = {"email": "new@example.org", "name": "New", "role": Role.ADMIN, "groups": []}
        return create_user(**profile, **context)

    return Attempt(call, lambda: User.objects.filter(email="new@example.org").exists())


def reactivate_admin() -> Attempt:
    user = UserFactory(admin=True, is_active=False)
    rows = User.objects.filter(pk=user.pk)
    return Attempt(
        lambda **context: reactivate_user(user=user, **context),
        lambda: rows.filter(is_active=True).exists(),
        lambda: rows.update(name="Renamed"),
    )


def reset_admin() -> Attempt:
    user = UserFactory(admin=True)
    AuthenticatorFactory(user=user)

    def call(**context: Any) -> object:
        return reset_mfa_of_user(user=user, reason="Lost", revoke_access=False, **context)

    return Attempt(
        call,
        lambda: not is_enrolled(user.pk),
        lambda: User.objects.filter(pk=user.pk).update(name="Renamed"),
    )


def approved() -> dict[str, Any]:
    return {"approval": "any_of", "approver_users": [UserFactory()]}


def drop_group() -> Attempt:
    """One approval from each group is one fewer without the second group."""
    kept, dropped = GroupFactory.create_batch(2)
    before = {"approval": "all_of", "approver_groups": [kept, dropped]}
    return edit_flow(before, approver_groups=frozenset({kept.pk}))


HOURS = timedelta(hours=1)
ATTEMPTS: dict[str, Callable[[], Attempt]] = {
    "Require MFA off": lambda: edit_flow({"require_mfa": True}, require_mfa=False),
    "lower strength": lambda: edit_flow(
        {"require_mfa": True, "mfa_strength": Strength.DEVICE_BOUND},
        mfa_strength=Strength.PHISHING_RESISTANT,
    ),
    "one verification for several": lambda: edit_flow(
        {"require_mfa": True, "verify_every_request": True}, verify_every_request=False
    ),
    "self-approval": lambda: edit_flow(approved(), allow_self_approval=True),
    "no approval": lambda: edit_flow(approved(), approval="automatic", approver_users=frozenset()),
    "one group fewer": drop_group,
    "open to agents": lambda: edit_flow({}, agents=AccessFlow.Agents.REQUEST),
    "longer maximum": lambda: edit_flow({}, max_duration=9 * HOURS),
    "longer with extensions": lambda: edit_flow({}, max_extensions=2),
    "weaker flow for the same target": activate_weaker_flow,
    "integration address": move_integration,
    "admin role": make_admin,
    "new admin": add_admin,
    "reactivated admin": reactivate_admin,
    "reset of an admin": reset_admin,
}


def acting(user: User) -> dict[str, Any]:
    return {"actor": user, "window": fresh_window(user), "client_info": SYSTEM}


def propose(user: User, attempt: Attempt) -> ProposedChange:
    with pytest.raises(ConfirmationRequired) as refusal:
        attempt.call(**acting(user))
    return propose_change(**acting(user), change=refusal.value.change)


def confirm(user: User, proposed: ProposedChange) -> object:
    return confirm_change(**acting(user), proposed=proposed)


@pytest.fixture(autouse=True)
def dual_control(settings: Any) -> None:
    settings.DUAL_CONTROL = True


@pytest.fixture
def ada(db: None) -> User:
    return UserFactory(name="Ada Lovelace", email="ada@example.org", admin=True)


@pytest.fixture
def grace(db: None) -> User:
    return UserFactory(name="Grace Hopper", email="grace@example.org", admin=True)
