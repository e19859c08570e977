"""What the services of flows demand, whoever calls them."""

from datetime import timedelta

import pytest

from accessflows.exceptions import InvalidInput
from accessflows.flows.history import last_difference
from accessflows.flows.services import change_flow, create_flow, set_flow_active
from accessflows.flows.terms import FlowInput
from accessflows.models import AccessFlow, Integration, Permission, Resource
from accessflows.requesters import named
from apono_portal.core.web.client import SYSTEM
from mfa.exceptions import NotAllowed, WindowClosed
from tests.factories import AccessFlowFactory, AuthenticatorFactory, UserFactory, fresh_window


@pytest.fixture
def pair(checked):
    resource = Resource.objects.get(integration=checked, name="orders")
    permission = Permission.objects.get(integration=checked, name="orders_read")
    return resource.pk, permission.pk


def terms_for(pair, **changes):
    requesters = named(users=[UserFactory().pk])
    terms = {
        "name": "Orders",
        "requesters": requesters,
        "targets": frozenset([pair]),
        "max_duration": timedelta(hours=1),
    }
    return FlowInput(**(terms | changes))


def create(actor, terms):
    return create_flow(actor=actor, window=fresh_window(actor), terms=terms, client_info=SYSTEM)


@pytest.mark.parametrize("role", ["member", "auditor"])
def test_only_admins_create_flows(pair, role):
    with pytest.raises(NotAllowed):
        create(UserFactory(role=role), terms_for(pair))
    assert not AccessFlow.objects.exists()


def test_a_former_admin_is_refused(pair, admin_user):
    type(admin_user).objects.filter(pk=admin_user.pk).update(role="member")
    with pytest.raises(NotAllowed):
        create(admin_user, terms_for(pair))


def test_an_enrolled_admin_shows_evidence(admin_user):
    AuthenticatorFactory(user=admin_user)
    flow = AccessFlowFactory(require_mfa=True)
    with pytest.raises(WindowClosed):
        set_flow_active(
            actor=admin_user, window=None, flow=flow, is_active=False, client_info=SYSTEM
        )
    flow.refresh_from_db()
    assert flow.is_active


def test_a_dangerous_role_is_refused_by_the_target_itself(pg_target, checked, admin_user):
    pg_target.ask("CREATE ROLE too_strong NOLOGIN SUPERUSER")
    try:
        permission = Permission.objects.create(integration=checked, name="too_strong")
        resource = Resource.objects.get(integration=checked, name="orders")
        with pytest.raises(InvalidInput, match="too_strong"):
            create(admin_user, terms_for((resource.pk, permission.pk)))
    finally:
        pg_target.ask("DROP ROLE too_strong")
    assert not AccessFlow.objects.exists()


def test_nothing_is_saved_while_a_new_role_cannot_be_checked(pair, checked, admin_user):
    Integration.objects.filter(pk=checked.pk).update(port=1)
    with pytest.raises(InvalidInput, match="could not be checked"):
        create(admin_user, terms_for(pair))
    assert not AccessFlow.objects.exists()


def test_a_flow_can_be_tightened_while_its_target_is_down(pair, checked, admin_user):
    terms = terms_for(pair)
    flow = create(admin_user, terms)
    fingerprint = flow.fingerprint
    Integration.objects.filter(pk=checked.pk).update(port=1)
    saved = change_flow(
        actor=admin_user,
        window=fresh_window(admin_user),
        flow=flow,
        terms=FlowInput(**(vars(terms) | {"require_mfa": True})),
        seen_version=flow.version,
        client_info=SYSTEM,
    )
    assert saved.require_mfa
    assert saved.fingerprint != fingerprint


def test_a_new_name_keeps_the_fingerprint(pair, admin_user):
    terms = terms_for(pair)
    flow = create(admin_user, terms)
    fingerprint = flow.fingerprint
    saved = change_flow(
        actor=admin_user,
        window=fresh_window(admin_user),
        flow=flow,
        terms=FlowInput(**(vars(terms) | {"name": "Orders, renamed"})),
        seen_version=flow.version,
        client_info=SYSTEM,
    )
    assert [one.term for one in last_difference(flow)] == ["Access Flow Name"]
    assert saved.fingerprint == fingerprint


@pytest.mark.parametrize("what", ["vanished resource", "vanished role", "disabled", "out of reach"])
def test_what_cannot_be_granted_is_refused(pair, checked, admin_user, what):
    missing = {"missing_since": checked.discovered_at}
    if what == "vanished resource":
        Resource.objects.filter(pk=pair[0]).update(**missing)
    elif what == "vanished role":
        Permission.objects.filter(pk=pair[1]).update(**missing)
    elif what == "disabled":
        Integration.objects.filter(pk=checked.pk).update(is_active=False)
    else:
        Permission.objects.filter(pk=pair[1]).update(rights={"resources": ["billing"]})
    with pytest.raises(InvalidInput) as refused:
        create(admin_user, terms_for(pair))
    assert set(refused.value.errors) == {"targets"}


def test_a_role_of_another_integration_is_refused(pair, admin_user):
    other = AccessFlowFactory(targets=1).targets.get()
    with pytest.raises(InvalidInput, match="different integrations"):
        create(admin_user, terms_for((pair[0], other.permission_id)))


def test_an_automatic_flow_names_no_approvers(pair, admin_user):
    approvers = frozenset([admin_user.pk])
    with pytest.raises(InvalidInput, match="has no approvers"):
        create(admin_user, terms_for(pair, approver_users=approvers))
