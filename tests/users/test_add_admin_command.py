"""``manage.py add_admin`` adds the first account admin."""

from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from apono_portal.users.models import User
from audit.models import Event

pytestmark = pytest.mark.django_db


def test_printed_link_lets_the_admin_set_a_password_and_sign_in(client, capsys):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    link = capsys.readouterr().out.split()[-1]
    form = client.get(urlsplit(link).path, follow=True)
    password = "a long and rare pass phrase"
    client.post(form.request["PATH_INFO"], {"new_password1": password, "new_password2": password})
    response = client.post("/sign-in/", {"username": "ada@example.org", "password": password})
    assert response.status_code == 302
    assert User.objects.get().is_account_admin


def test_command_is_recorded_without_the_link(capsys):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    event = Event.objects.get(event="user:create")
    assert event.metadata["console"] is True
    assert capsys.readouterr().out.split()[-1] not in str(event.metadata)


@pytest.mark.parametrize("email", ["ada@example.org", "Ada@Example.org"])
def test_email_must_be_new(email):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    with pytest.raises(CommandError):
        call_command("add_admin", email, "Ada Again")


def test_email_must_be_valid():
    with pytest.raises(CommandError, match="not a valid email"):
        call_command("add_admin", "ada", "Ada Admin")
