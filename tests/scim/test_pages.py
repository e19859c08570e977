"""Directories and tokens on the Provisioning page, and what is read-only because a directory owns it."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apono_portal.scim.models import Directory, ScimToken
from apono_portal.users.models import User
from apono_portal.users.services import group_digest, user_digest
from audit.events import EventName
from audit.models import Event
from tests.scim.conftest import DirectoryClient


def token_on(page: str) -> str:
    return page.partition('id="token" readonly value="')[2].partition('"')[0]


def create_token(client: Client, directory: Directory) -> str:
    url = reverse("scim:create_token", args=[directory.pk])
    return token_on(client.post(url, {"lifetime": "90"}).content.decode())


def test_an_admin_connects_a_directory_and_sees_the_token_once(admin_client, db):
    response = admin_client.post(reverse("scim:create"), {"name": "Entra ID"})
    directory = Directory.objects.get()
    assert response.headers["Location"] == reverse("scim:create_token", args=[directory.pk])
    text = create_token(admin_client, directory)
    token = ScimToken.objects.get()
    assert text.startswith("scim_")
    assert text not in str(token.__dict__)
    assert token.expires_at - timezone.now() > timedelta(days=89)
    page = admin_client.get(reverse("scim:directories")).content.decode()
    assert text not in page
    assert str(token) in page
    assert not any(text in str(event.metadata) for event in Event.objects.all())
    assert DirectoryClient(Client(), text).send("GET", "/Users").status_code == 200
    token.refresh_from_db()
    assert token.last_used_at is not None


def test_two_tokens_work_during_a_rotation_and_not_three(admin_client, okta, directory):
    second = create_token(admin_client, directory)
    assert create_token(admin_client, directory) == ""
    for client in (okta, DirectoryClient(Client(), second)):
        assert client.send("GET", "/Users").status_code == 200
    first = ScimToken.objects.earliest("pk")
    admin_client.post(reverse("scim:revoke", args=[first.pk]))
    assert okta.send("GET", "/Users").status_code == 401
    assert Event.objects.filter(event=EventName.DIRECTORY_REVOKE_TOKEN).exists()
    assert create_token(admin_client, directory) != ""


def test_a_token_needs_an_open_window(admin_user, signed_in, directory):
    url = reverse("scim:create_token", args=[directory.pk])
    assert signed_in(admin_user).post(url, {"lifetime": "90"}).status_code == 302
    assert ScimToken.objects.count() == 1


def test_a_disconnected_directory_leaves_its_users_and_groups(admin_client, okta, directory):
    user = okta.add_user("a@corp.example")
    okta.add_group("Billing", user)
    admin_client.post(reverse("scim:delete", args=[directory.pk]))
    assert okta.send("GET", "/Users").status_code == 401
    assert Group.objects.get().user_set.get().email == "a@corp.example"


def test_name_and_groups_of_a_directory_are_changed_there(admin_client, okta):
    account = okta.add_user("a@corp.example", displayName="Hannah Fischer")
    okta.add_group("Billing", account)
    user, local = User.objects.get(email="a@corp.example"), Group.objects.create(name="Local")
    form = {
        "name": "Someone else",
        "role": "auditor",
        "groups": [local.pk],
        "seen": user_digest(user),
    }
    admin_client.post(reverse("users:edit", args=[user.pk]), form)
    user.refresh_from_db()
    assert (user.name, user.role) == ("Hannah Fischer", "auditor")
    assert {group.name for group in user.groups.all()} == {"Billing", "Local"}


def test_nobody_is_added_by_hand_to_a_group_of_a_directory(admin_client, okta, member_user):
    okta.add_group("Billing")
    group = Group.objects.get()
    form = {"name": "Max", "role": "member", "groups": [group.pk], "seen": user_digest(member_user)}
    for url in ("users:edit", "admin:users_user_change"):
        admin_client.post(reverse(url, args=[member_user.pk]), form)
    members = {"name": "Billing", "members": [member_user.pk], "seen": group_digest(group)}
    for url in ("users:edit_group", "admin:auth_group_change"):
        admin_client.post(reverse(url, args=[group.pk]), members)
    assert not group.user_set.exists()


def test_a_user_whom_the_directory_deactivated_is_reactivated_there(admin_client, okta):
    account = okta.add_user("a@corp.example", active=False)
    user = User.objects.get(scim_user=account["id"])
    page = admin_client.post(reverse("users:reactivate", args=[user.pk]), follow=True)
    assert "Okta deactivated this user" in page.content.decode()
    user.refresh_from_db()
    assert not user.is_active


@pytest.mark.parametrize("name", ["users:groups", "scim:directories"])
def test_the_source_is_shown(auditor_client, okta, name):
    okta.add_group("Billing")
    assert "Okta" in auditor_client.get(reverse(name)).content.decode()
