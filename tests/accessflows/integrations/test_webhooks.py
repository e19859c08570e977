"""A webhook as an integration: the form, the encrypted secret, the check."""

import pytest
from django.utils import timezone

from accessflows.integrations.scheduled_checks import run_requested_checks
from accessflows.models import Integration
from audit.models import Event
from tests.fixtures.webhook import new_secret, receiver  # noqa: F401
from tests.forms import post_form

pytestmark = pytest.mark.django_db


def typed(receiver, **changes):  # noqa: F811
    values = {
        "name": "gateway",
        "kind": "webhook",
        "url": receiver.url,
        "password": receiver.secret,
        "terminate_sessions_on_reset": "on",
    }
    return values | changes


def test_it_is_added_and_checked(admin_client, receiver):  # noqa: F811
    assert "Signing secret" in admin_client.get("/integrations/new/?kind=webhook").content.decode()
    post_form(admin_client, "/integrations/new/", typed(receiver))
    made = Integration.objects.get()
    assert made.broker_password == receiver.secret
    assert receiver.secret not in made.encrypted_password
    run_requested_checks(timezone.now())  # adding it asks for the first one
    page = admin_client.get(f"/integrations/{made.pk}/").content.decode()
    made.refresh_from_db()
    assert (made.health, made.system_identifier) == ("healthy", "example-receiver")
    assert "Open the door" in str(made.permissions.get(name="reader").rights_on("orders"))
    assert receiver.secret not in page


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("url", "http://example.org/", "Use an https:// address"),
        ("url", "", "address"),
        ("password", "secret", "starts with whsec_"),
        ("password", "", "required"),
        ("url", "https://example.org/" + "x" * 500, "at most 500"),
    ],
)
def test_invalid_input_is_refused(admin_client, receiver, field, value, sentence):  # noqa: F811
    answer = post_form(admin_client, "/integrations/new/", typed(receiver, **{field: value}))
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not Integration.objects.exists()


def test_a_new_address_requires_the_secret_and_must_be_the_same_receiver(admin_client, receiver):  # noqa: F811
    post_form(admin_client, "/integrations/new/", typed(receiver))
    made = Integration.objects.get()
    run_requested_checks(timezone.now())
    moved = typed(receiver, url=receiver.url + "moved", password="")
    answer = post_form(admin_client, f"/integrations/{made.pk}/edit/", moved)
    assert "again" in answer.content.decode()
    wrong = typed(receiver, url=receiver.url + "moved", password=new_secret())
    answer = post_form(admin_client, f"/integrations/{made.pk}/edit/", wrong)
    assert answer.status_code == 422
    assert "could not be checked" in answer.content.decode()
    right = typed(receiver, url=receiver.url + "moved")
    post_form(admin_client, f"/integrations/{made.pk}/edit/", right)
    made.refresh_from_db()
    assert made.settings["url"].endswith("moved")


def test_the_address_is_part_of_the_fingerprint():
    made = Integration(
        kind="webhook", settings={"url": "https://example.org/a"}, host="example.org", port=443
    )
    assert made.address == "webhook:https://example.org/a"


def test_a_new_secret_is_tested_before_it_replaces_the_old_one(admin_client, receiver):  # noqa: F811
    post_form(admin_client, "/integrations/new/", typed(receiver))
    made = Integration.objects.get()
    address = f"/integrations/{made.pk}/password/"
    for wrong in (new_secret(), "no-such-form"):
        assert post_form(admin_client, address, {"password": wrong}).status_code == 422
    made.refresh_from_db()
    assert made.broker_password == receiver.secret
    assert not Event.objects.filter(event="integration:change").exists()
    assert post_form(admin_client, address, {"password": receiver.secret}).status_code == 302
    assert Event.objects.filter(event="integration:change").exists()
