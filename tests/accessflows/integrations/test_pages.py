"""Integrations with a real server: check, discovery, change of address, the encrypted password."""

import re

import pytest
from django.utils import timezone

from accessflows.integrations.checks import check_integration
from accessflows.integrations.health import health_history
from accessflows.integrations.scheduled_checks import run_requested_checks
from accessflows.models import Integration, Permission, Resource
from apono_portal.core.web.client import SYSTEM
from audit.models import Event
from tests.accessflows.connectors.postgresql.test_tls import write_certificate
from tests.factories import AccessFlowFactory, IntegrationFactory
from tests.forms import post_form


def html_of(answer):
    return answer.content.decode()


@pytest.fixture
def typed(integration):
    """The form as it is filled for the integration."""
    return {
        "name": integration.name,
        "kind": "postgresql",
        "host": integration.host,
        "port": integration.port,
        "database": integration.settings["database"],
        "broker": integration.broker,
        "password": "",
        "sslmode": integration.sslmode,
        "ca_certificates": "",
        "connection_limit": 3,
    }


def path(integration, action=""):
    return f"/integrations/{integration.pk}/{action}"


def check(client, integration):
    """Ask for a check, let a worker do it, and return the integration's page."""
    assert post_form(client, path(integration, "check/")).status_code == 302
    run_requested_checks(timezone.now())
    return html_of(client.get(path(integration)))


def test_a_check_reads_what_the_server_offers(integration, admin_client):
    page = check(admin_client, integration)
    integration.refresh_from_db()
    assert integration.health == Integration.Health.LIMITED
    assert "ALTER SYSTEM SET max_prepared_transactions = 0" in page
    assert {"orders", "billing"} <= set(integration.resources.values_list("name", flat=True))
    assert "orders_read" in page
    events = Event.objects.values_list("event", flat=True)
    assert {"integration:check", "integration:discover"} <= set(events)


def test_a_second_check_that_finds_nothing_new_reports_nothing_new(checked, admin_client):
    check(admin_client, checked)
    results = Event.objects.filter(event="integration:check", metadata__has_key="health")
    assert results.count() == 2
    assert Event.objects.filter(event="integration:discover").count() == 1


def test_a_missing_item_is_marked_and_kept(checked, admin_client):
    Resource.objects.create(integration=checked, name="dropped_long_ago")
    page = check(admin_client, checked)
    assert Resource.objects.get(name="dropped_long_ago").missing_since is not None
    assert "Missing since" in page


def test_an_item_that_returns_is_present_again(checked):
    Permission.objects.filter(name="orders_read").update(missing_since=checked.discovered_at)
    check_integration(actor=None, integration=checked, client_info=SYSTEM)
    assert Permission.objects.get(name="orders_read").is_present


def test_a_server_that_is_down_is_reported_and_keeps_its_inventory(checked, admin_client):
    Integration.objects.filter(pk=checked.pk).update(port=1)
    page = check(admin_client, checked)
    checked.refresh_from_db()
    assert checked.health == Integration.Health.DOWN
    assert checked.resources.filter(missing_since=None).exists()
    assert "Down" in page


def test_another_server_at_the_address_is_not_read(checked, admin_client):
    Integration.objects.filter(pk=checked.pk).update(system_identifier="1234567890")
    names = set(checked.resources.values_list("name", flat=True))
    page = check(admin_client, checked)
    checked.refresh_from_db()
    assert checked.health == Integration.Health.DOWN
    assert checked.system_identifier == "1234567890"
    assert set(checked.resources.values_list("name", flat=True)) == names
    assert "different server" in page


def test_a_password_that_cannot_be_decrypted_is_reported(integration, admin_client):
    other = IntegrationFactory()
    Integration.objects.filter(pk=integration.pk).update(
        encrypted_password=other.encrypted_password
    )
    page = check(admin_client, integration)
    assert "The credential can&#x27;t be decrypted. Enter it again." in page


def test_adding_encrypts_the_password(db, admin_client, typed):
    secret = "s3cret-never-seen"
    answer = post_form(
        admin_client, "/integrations/new/", typed | {"name": "two", "password": secret}
    )
    added = Integration.objects.get(name="two")
    assert answer.status_code == 302
    assert added.broker_password == secret
    assert secret not in added.encrypted_password
    assert secret not in str(list(Event.objects.values_list("metadata", flat=True)))


@pytest.mark.parametrize("page", ["", "edit/"])
def test_the_password_is_on_no_page(checked, admin_client, page):
    assert checked.broker_password not in html_of(admin_client.get(path(checked, page)))


def test_a_refused_form_does_not_send_the_password_back(integration, admin_client, typed):
    answer = post_form(
        admin_client, path(integration, "edit/"), typed | {"password": "typed-secret", "port": "x"}
    )
    assert answer.status_code == 422
    assert "typed-secret" not in html_of(answer)


def test_an_empty_password_keeps_the_stored_one(integration, admin_client, typed):
    before = integration.broker_password
    post_form(admin_client, path(integration, "edit/"), typed | {"name": "renamed"})
    integration.refresh_from_db()
    assert (integration.name, integration.broker_password) == ("renamed", before)


@pytest.mark.parametrize(
    "change",
    [
        {"host": "thief.example"},
        {"port": 6543},
        {"database": "other"},
        {"broker": "other"},
        {"sslmode": "disable"},
        {"ca_certificates": "a certificate"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_new_address_requires_the_password(integration, admin_client, typed, change, certificate):
    if "ca_certificates" in change:
        change = {"ca_certificates": certificate}
    answer = post_form(admin_client, path(integration, "edit/"), typed | change)
    integration.refresh_from_db()
    assert answer.status_code == 422
    assert "password again" in html_of(answer)
    assert all(getattr(integration, name, None) != value for name, value in change.items())
    assert integration.settings["database"] != "other"


@pytest.fixture
def certificate(tmp_path):
    write_certificate(tmp_path, "127.0.0.1")
    return (tmp_path / "server.crt").read_text()


def test_certificates_are_stored_with_the_integration(admin_client, typed, certificate):
    posted = typed | {"name": "tls", "password": "x", "ca_certificates": f"Our CA\n{certificate}\n"}
    post_form(admin_client, "/integrations/new/", posted)
    integration = Integration.objects.get(name="tls")
    assert integration.target().ca_certificates == certificate
    terms = Event.objects.get(event="integration:create").metadata["terms"]
    assert terms["ca_certificates"].startswith("SHA-256 ")


@pytest.mark.parametrize("text", ["/etc/ssl/ca.pem", "-----BEGIN CERTIFICATE-----", "x" * 70_000])
def test_what_is_no_certificate_is_refused(admin_client, typed, text):
    posted = typed | {"name": "tls", "password": "x", "ca_certificates": text}
    assert post_form(admin_client, "/integrations/new/", posted).status_code == 422
    assert not Integration.objects.filter(name="tls").exists()


def test_a_private_key_is_refused(admin_client, typed, certificate, tmp_path):
    text = certificate + (tmp_path / "server.key").read_text()
    posted = typed | {"name": "tls", "password": "x", "ca_certificates": text}
    answer = post_form(admin_client, "/integrations/new/", posted)
    assert "Paste certificates only" in html_of(answer)
    assert not Integration.objects.filter(name="tls").exists()


def test_a_new_address_must_lead_to_the_same_server(checked, admin_client, typed):
    Integration.objects.filter(pk=checked.pk).update(system_identifier="1234567890")
    moved = typed | {"host": "localhost", "password": checked.broker_password}
    answer = post_form(admin_client, path(checked, "edit/"), moved)
    assert answer.status_code == 422
    assert "different server" in html_of(answer)


def test_a_new_address_of_the_same_server_is_accepted(checked, admin_client, typed):
    flow = AccessFlowFactory(targets=0)
    resource = checked.resources.get(name="orders")
    flow.targets.create(resource=resource, permission=checked.permissions.get(name="orders_read"))
    moved = typed | {"host": "localhost", "password": checked.broker_password}
    assert post_form(admin_client, path(checked, "edit/"), moved).status_code == 302
    before = flow.fingerprint
    flow.refresh_from_db()
    assert flow.fingerprint != before
    assert flow.versions.filter(version=flow.version).exists()


def test_a_new_address_that_cannot_be_reached_is_not_saved(checked, admin_client, typed):
    moved = typed | {"port": 1, "password": checked.broker_password}
    answer = post_form(admin_client, path(checked, "edit/"), moved)
    checked.refresh_from_db()
    assert "could not be checked" in html_of(answer)
    assert checked.port != 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("kind", "oracle"),
        ("host", "a b"),
        ("host", "host\nother"),
        ("host", "user@host"),
        ("host", "x" * 254),
        ("port", "0"),
        ("port", "65536"),
        ("port", "5e3"),
        ("database", "x\x00"),
        ("broker", "x" * 64),
        ("sslmode", "maybe"),
        ("connection_limit", "0"),
        ("connection_limit", "99999999999999999999"),
    ],
)
def test_bad_input_gets_a_sentence(integration, admin_client, typed, field, value):
    answer = post_form(
        admin_client,
        "/integrations/new/",
        typed | {"name": "two", "password": "x" * 12, field: value},
    )
    assert answer.status_code == 422
    assert f'id="id_{field}_error"' in html_of(answer)
    assert not Integration.objects.filter(name="two").exists()


def test_disabling_confirms_first(integration, admin_client):
    assert "revoked within seconds" in html_of(admin_client.get(path(integration, "disable/")))
    post_form(admin_client, path(integration, "disable/"))
    integration.refresh_from_db()
    assert not integration.is_active
    assert Event.objects.filter(event="integration:disable").count() == 1


def test_an_auditor_reads_and_changes_nothing(integration, auditor_client):
    assert integration.name in html_of(auditor_client.get("/integrations/"))
    assert "Check now" not in html_of(auditor_client.get(path(integration)))
    for action in ("check/", "disable/", "enable/", "edit/", "password/", "delete/"):
        assert post_form(auditor_client, path(integration, action)).status_code == 404


def test_the_list_makes_as_many_queries_for_ten_as_for_many(admin_client, questions_of):
    IntegrationFactory.create_batch(10)
    few = questions_of(admin_client, "/integrations/")
    IntegrationFactory.create_batch(290)
    assert questions_of(admin_client, "/integrations/") == few


def test_a_connector_that_is_no_longer_installed_is_shown_in_red(admin_client):
    gone = IntegrationFactory(kind="example-gone")
    page = html_of(admin_client.get(path(gone)))
    assert "The connector “example-gone” is not installed." in page
    assert admin_client.get(path(gone, "edit/")).status_code == 302
    assert "example-gone" in html_of(admin_client.get("/integrations/"))


def test_a_failed_check_offers_to_edit_and_to_check_again(admin_client):
    down = IntegrationFactory(port=1)
    admin_client.post(path(down, "check/"))
    run_requested_checks(timezone.now())
    page = html_of(admin_client.get(path(down, f"check/{down.check_runs.get().pk}/")))
    assert path(down, "edit/") in page
    assert "Check again" in page


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "valkey", "linux"])
def test_the_guided_set_up_fills_in_the_broker_it_creates(admin_client, kind):
    answer = admin_client.get(f"/integrations/new/?kind={kind}")
    page = html_of(answer)
    assert 'value="apono_portal"' in page
    assert "no-store" in answer.headers["Cache-Control"]
    password = re.search(r'name="password" value="([^"]+)"', page)[1]
    assert page.count(password) == 1


def test_the_health_history_has_one_entry_for_each_change(checked, admin_client):
    port = checked.port
    for at in (1, 1, port):
        Integration.objects.filter(pk=checked.pk).update(port=at)
        checked.refresh_from_db()
        check_integration(actor=None, integration=checked, client_info=SYSTEM, requested=True)
    assert [change.health for change in health_history(checked)] == ["limited", "down", "limited"]
    assert "Health history" in html_of(admin_client.get(path(checked)))
