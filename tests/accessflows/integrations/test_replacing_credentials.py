"""The broker's password is replaced in place, and only by one that the target takes."""

import pytest

from accessflows.integrations.checks import check_integration
from accessflows.models import Integration
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from tests.factories import IntegrationFactory
from tests.forms import post_form

pytestmark = pytest.mark.django_db


def address(integration):
    return f"/integrations/{integration.pk}/password/"


def html_of(answer):
    return answer.content.decode()


@pytest.fixture
def renewed(checked, pg_target):
    """Somebody has given the broker a new password on the server."""
    old, new = checked.broker_password, "brand-new-of-today"
    pg_target.ask(f"ALTER ROLE {checked.broker} PASSWORD '{new}'")
    yield new
    pg_target.ask(f"ALTER ROLE {checked.broker} PASSWORD '{old}'")


def test_what_the_target_accepts_replaces_the_old_one(checked, renewed, admin_client, admin_user):
    answer = admin_client.post(address(checked), {"password": renewed}, follow=True)
    checked.refresh_from_db()
    assert "The target accepted it" in html_of(answer)
    assert checked.broker_password == renewed
    event = Event.objects.filter(event="integration:change").get()
    assert event.actor_id == admin_user.pk
    assert renewed not in str(event.metadata)
    assert (
        check_integration(actor=None, integration=checked, client_info=SYSTEM).inventory is not None
    )


def test_what_the_target_refuses_replaces_nothing_and_is_not_sent_back(checked, admin_client):
    before = checked.encrypted_password
    answer = admin_client.post(address(checked), {"password": "a-wrong-one-typed"})
    checked.refresh_from_db()
    assert answer.status_code == 422
    assert "did not accept it" in html_of(answer)
    assert "a-wrong-one-typed" not in html_of(answer)
    assert checked.encrypted_password == before


def test_another_server_that_accepts_it_is_rejected(checked, admin_client):
    Integration.objects.update(system_identifier="1234567890")
    answer = admin_client.post(address(checked), {"password": checked.broker_password})
    assert answer.status_code == 422
    assert "different server" in html_of(answer)


def test_a_wrong_one_typed_into_the_whole_form_replaces_nothing(checked, admin_client):
    form = {name: getattr(checked, name) for name in ("name", "kind", "host", "port")}
    form |= {
        "database": "postgres",
        "broker": checked.broker,
        "sslmode": checked.sslmode,
        "connection_limit": 3,
    }
    url = f"/integrations/{checked.pk}/edit/"
    answer = post_form(
        admin_client, url, form | {"password": "wrong-1", "terminate_sessions_on_reset": "on"}
    )
    before = checked.broker_password
    checked.refresh_from_db()
    assert answer.status_code == 422
    assert "could not be checked" in html_of(answer)
    assert checked.broker_password == before


def test_an_integration_changed_meanwhile_keeps_what_it_has(checked, admin_client, monkeypatch):
    from accessflows.integrations import services as integrations_services

    real = integrations_services.require_same_server

    def slow(*args, **kwargs):
        real(*args, **kwargs)
        Integration.objects.update(settings={"database": "orders"})

    monkeypatch.setattr(integrations_services, "require_same_server", slow)
    answer = admin_client.post(address(checked), {"password": checked.broker_password})
    assert "changed this integration" in html_of(answer)


def test_the_page_shows_no_password(admin_client):
    integration = IntegrationFactory()
    assert integration.broker_password not in html_of(admin_client.get(address(integration)))
