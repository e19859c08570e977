"""Whoever enters a name must not write lines of their own into emails that show it."""

from functools import partial

import pytest
from django.forms import Form

from accessflows.connectors.registry import kinds
from accessflows.integrations.forms import IntegrationForm
from apono_portal.notifications.forms import WebhookForm
from apono_portal.users.forms import RenameGroupForm, UserForm
from mfa.enrolment.forms import SetUpForm
from mfa.methods.forms import NameForm
from mfa.passkeys.forms import PasskeyForm

SENTENCE = "Remove line breaks and invisible characters."
FORMS = [
    RenameGroupForm,
    *(partial(IntegrationForm, kind=kind) for kind in kinds().values()),
    NameForm,
    PasskeyForm,
    SetUpForm,
    UserForm,
    WebhookForm,
]


@pytest.mark.django_db
@pytest.mark.parametrize("form", FORMS)
def test_names_are_one_visible_line(form: type[Form]) -> None:
    for name in ("Key\n\nYour account is locked. Call 555", "Key\x1b[2J", "yeK\u202e", "K\u200bey"):
        assert form({"name": name}).errors["name"] == [SENTENCE]
    assert "name" not in form({"name": "Zoë's key 🔑"}).errors
