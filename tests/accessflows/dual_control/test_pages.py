"""Every path to a protected action: pages, Django admin, identity providers; and Pending Changes."""

import pytest
from django.utils import timezone

from accessflows.dual_control.second_admin_check import check_second_admin
from accessflows.models import AccessFlow, ProposedChange
from apono_portal.notifications.fan_out import fan_out
from apono_portal.sso.exceptions import SsoError
from apono_portal.sso.services import add_mapping
from apono_portal.status.problems import current_problems
from apono_portal.users.models import Role, User
from apono_portal.users.services import change_user_from_directory
from audit.integrity.checkpoints import write_checkpoints
from audit.models import Delivery, Event
from mfa.methods.selectors import is_enrolled
from tests.accessflows.dual_control.conftest import acting, make_admin, propose
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    IdentityProviderFactory,
    UserFactory,
)
from tests.forms import post_form, requester_fields

LIST = "/pending-changes/"


@pytest.fixture
def ada_client(ada, verified):
    return verified(ada)


@pytest.fixture
def grace_client(grace, verified):
    return verified(grace)


def decide(client, what):
    return client.post(f"{LIST}{ProposedChange.objects.latest('pk').pk}/{what}/", follow=True)


def test_the_flow_form_proposes_and_another_admin_confirms(ada_client, grace_client):
    person = UserFactory()
    flow = AccessFlowFactory(name="Orders", require_mfa=True, targets=1, requester_users=[person])
    target = flow.targets.get()
    data = requester_fields(users=[person.pk]) | {
        "name": "Orders",
        "targets": f"{target.resource_id}:{target.permission_id}",
        "mfa_strength": "any",
        "max_duration": "8h",
        "approval": "automatic",
        "agents": "none",
        "require_justification": "on",
    }
    answer = post_form(ada_client, f"/access-flows/{flow.pk}/edit/", data)
    assert (answer.status_code, answer.headers["Location"]) == (302, LIST)
    assert AccessFlow.objects.get().require_mfa
    page = ada_client.get(LIST).content.decode()
    for words in ("Edit access flow", "Requests need no MFA.", "Require MFA", "Withdraw"):
        assert words in page
    assert "/confirm/" not in page
    note = grace_client.get(f"/access-flows/{flow.pk}/edit/").content.decode()
    assert "A change by Ada Lovelace waits for a second admin." in note
    assert (
        "Confirmed and applied: Edit access flow Orders."
        in decide(grace_client, "confirm").content.decode()
    )
    assert not AccessFlow.objects.get().require_mfa


def test_the_users_tab_and_django_admin_propose(ada_client):
    user = UserFactory()
    for path in (f"/users/{user.pk}/edit/", f"/admin/users/user/{user.pk}/change/"):
        answer = post_form(ada_client, path, {"name": user.name, "role": "admin"})
        assert answer.headers["Location"] == LIST, path
    page = ada_client.get(f"/users/{user.pk}/").content.decode()
    assert "A change by Ada Lovelace waits for a second admin." in page
    new = {"name": "New", "email": "new@example.org", "role": "admin"}
    assert post_form(ada_client, "/users/new/", new).headers["Location"] == LIST
    assert not User.objects.filter(pk=user.pk, role="admin").exists()
    assert ProposedChange.objects.count() == 3
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_reset_of_an_admin_by_the_dialog_waits_and_one_of_a_member_does_not(ada_client, grace):
    member = UserFactory()
    for user in (grace, member):
        AuthenticatorFactory(user=user)
        post_form(ada_client, f"/users/{user.pk}/reset-mfa/", {"reason": "Lost"})
    assert is_enrolled(grace.pk)
    assert not is_enrolled(member.pk)


def test_an_identity_provider_makes_nobody_an_admin(ada, grace):
    provider, user = IdentityProviderFactory(), UserFactory()
    with pytest.raises(SsoError, match="given in the portal only"):
        add_mapping(**acting(ada), provider=provider, value="a", group=None, role=Role.ADMIN)
    change_user_from_directory(
        user=user, name=user.name, role=Role.ADMIN, groups=[], directory="Okta"
    )
    user.refresh_from_db()
    assert user.role == Role.MEMBER
    assert "given in the portal only" in Event.objects.latest("pk").metadata["kept_role"]
    change_user_from_directory(
        user=grace, name=grace.name, role=Role.ADMIN, groups=[], directory="Okta"
    )
    grace.refresh_from_db()
    assert grace.role == Role.ADMIN


def test_nobody_without_an_open_window_decides(ada, grace, signed_in, auditor_client):
    AuthenticatorFactory(user=grace)
    attempt = make_admin()
    propose(ada, attempt)
    assert (
        "/account/step-up/"
        in signed_in(grace)
        .post(f"{LIST}{ProposedChange.objects.get().pk}/confirm/")
        .headers["Location"]
    )
    assert auditor_client.get(LIST).status_code == 200
    assert decide(auditor_client, "confirm").status_code == 404
    assert not attempt.is_applied()


def test_an_altered_change_is_shown_without_its_button(ada, grace_client):
    propose(ada, make_admin())
    ProposedChange.objects.update(title="Something harmless")
    page = grace_client.get(LIST).content.decode()
    assert "altered outside the portal" in page
    assert "/confirm/" not in page
    assert (
        "Rejected: Give admin role to Something harmless."
        in decide(grace_client, "reject").content.decode()
    )


def test_other_admins_are_notified_and_the_menu_counts(ada, grace, grace_client):
    propose(ada, make_admin())
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    [email] = Delivery.objects.filter(kind="change")
    assert email.recipient == grace.email
    assert "Ada Lovelace proposes it" in email.body
    assert "Role: Member → Admin" in email.body
    assert (
        'Pending Changes<span class="nav-count">1' in grace_client.get("/users/").content.decode()
    )
    decide(grace_client, "confirm")
    write_checkpoints(timezone.now())
    fan_out(timezone.now())
    confirmed = Delivery.objects.filter(kind="change").exclude(pk=email.pk).earliest("pk")
    assert confirmed.recipient == ada.email
    assert "Grace Hopper confirmed it, and it is applied." in confirmed.body


def test_a_portal_where_nobody_can_confirm_says_so(ada, grace, settings):
    AuthenticatorFactory(user=ada)

    def problems():
        return [problem.title for problem in current_problems(timezone.now())]

    assert "Nobody can confirm pending changes." in problems()
    assert check_second_admin(None, databases=["default"])
    AuthenticatorFactory(user=grace)
    assert "Nobody can confirm pending changes." not in problems()
    assert not check_second_admin(None, databases=["default"])


def test_without_the_setting_the_menu_has_no_such_page(grace_client, settings):
    settings.DUAL_CONTROL = False
    assert "Pending Changes" not in grace_client.get("/users/").content.decode()
    assert "Dual control is off" in grace_client.get(LIST).content.decode()
