"""The first account admin comes from the server's console."""

from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from apono_portal.users.models import User
from audit.models import Event

pytestmark = pytest.mark.django_db


def test_the_printed_link_lets_the_first_admin_in(client, capsys):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    link = capsys.readouterr().out.split()[-1]
    form = client.get(urlsplit(link).path, follow=True)
    word = "a long and rare pass phrase"
    client.post(form.request["PATH_INFO"], {"new_password1": word, "new_password2": word})
    answer = client.post("/sign-in/", {"username": "ada@example.org", "password": word})
    assert answer.status_code == 302
    assert User.objects.get().is_account_admin


def test_it_is_on_the_record(capsys):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    event = Event.objects.get(event="user:create")
    assert event.metadata["console"] is True
    assert capsys.readouterr().out.split()[-1] not in str(event.metadata)


@pytest.mark.parametrize("email", ["ada@example.org", "Ada@Example.org"])
def test_an_address_is_taken_once(email):
    call_command("add_admin", "ada@example.org", "Ada Admin")
    with pytest.raises(CommandError):
        call_command("add_admin", email, "Ada Again")


def test_what_is_no_address_gets_a_sentence():
    with pytest.raises(CommandError, match="not an e-mail address"):
        call_command("add_admin", "ada", "Ada Admin")
