"""The pages of identity providers: adding, editing, testing, domains, mappings, the break-glass admin."""

import pytest
from django.core.management import CommandError, call_command

from apono_portal.sso.models import ClaimMapping, IdentityProvider, SignInDomain
from apono_portal.users.models import User
from audit.models import Event
from tests.factories import GroupFactory, IdentityProviderFactory, UserFactory
from tests.forms import hidden_fields

FIELDS = {
    "name": "Okta",
    "issuer": "https://halden.okta.example",
    "client_id": "0oa8x2f1kqPL7vT5d7",
    "secret": "a-secret-of-okta",
    "scopes": "openid profile email",
    "groups_claim": "groups",
    "accepted_acr": "",
    "colour": "#3b4ba0",
    "is_active": "on",
}


def test_an_admin_adds_a_provider_and_its_secret_is_never_shown(admin_client):
    response = admin_client.post("/single-sign-on/new/", FIELDS)
    provider = IdentityProvider.objects.get()
    assert response.headers["Location"] == f"/single-sign-on/{provider.pk}/"
    assert provider.secret == "a-secret-of-okta"
    pages = [f"/single-sign-on/{provider.pk}/{path}" for path in ("", "edit/", "delete/")]
    shown = "".join(admin_client.get(page).content.decode() for page in pages)
    assert "http://localhost/sso/okta/callback/" in shown
    stored = str(list(Event.objects.values())) + str(IdentityProvider.objects.values())
    assert "a-secret-of-okta" not in shown + stored


def test_saving_without_a_secret_keeps_it_and_the_address(admin_client):
    admin_client.post("/single-sign-on/new/", FIELDS)
    url = f"/single-sign-on/{IdentityProvider.objects.get().pk}/edit/"
    changed = hidden_fields(admin_client, url) | FIELDS | {"name": "Halden SSO", "secret": ""}
    assert admin_client.post(url, changed).status_code == 302
    provider = IdentityProvider.objects.get()
    assert (provider.name, provider.slug, provider.version) == ("Halden SSO", "okta", 2)
    assert provider.secret == "a-secret-of-okta"


def test_a_secret_that_does_not_decrypt_is_entered_again(admin_client, client):
    admin_client.post("/single-sign-on/new/", FIELDS)
    IdentityProvider.objects.update(encrypted_secret="siv1.AAAA")
    page = client.get("/sso/okta/")
    assert (page.status_code, "does not decrypt" in page.content.decode()) == (503, True)
    url = f"/single-sign-on/{IdentityProvider.objects.get().pk}/edit/"
    assert admin_client.post(url, hidden_fields(admin_client, url) | FIELDS).status_code == 302
    assert IdentityProvider.objects.get().secret == "a-secret-of-okta"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("issuer", "http://okta.example"),
        ("issuer", "https://10.0.0.1"),
        ("issuer", "ftp://okta.example"),
        ("scopes", "profile"),
        ("colour", "red"),
        ("name", ""),
    ],
)
def test_a_field_with_a_fault_is_named_and_nothing_is_saved(admin_client, field, value):
    response = admin_client.post("/single-sign-on/new/", FIELDS | {field: value})
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not IdentityProvider.objects.exists()


def test_a_second_provider_of_the_same_issuer_is_refused(admin_client):
    admin_client.post("/single-sign-on/new/", FIELDS)
    response = admin_client.post("/single-sign-on/new/", FIELDS | {"name": "Again"})
    assert "Another identity provider has this name or issuer." in response.content.decode()


def test_a_test_sign_in_shows_the_claims_and_changes_nothing(admin_client, provider, directory):
    provider.mappings.create(value="eng", group=GroupFactory(name="Engineers"))
    directory.person(groups=["eng", "all-staff"], amr=["mfa"])
    away = admin_client.get(f"/single-sign-on/{provider.pk}/test/")
    response = admin_client.get(directory.visit(away.headers["Location"]), follow=True)
    page = response.content.decode()
    for text in ("Sign-in works.", "hannah@halden.example", "Group Engineers", "Not mapped"):
        assert text in page
    assert not User.objects.filter(email="hannah@halden.example").exists()
    assert Event.objects.get(event="provider:test").metadata == {}
    directory.person(error="access_denied")
    away = admin_client.get(f"/single-sign-on/{provider.pk}/test/")
    response = admin_client.get(directory.visit(away.headers["Location"]), follow=True)
    assert "Sign-in failed" in response.content.decode()


def test_a_test_of_an_unreachable_provider_says_so(admin_client, provider):
    provider.issuer, provider.version = "http://127.0.0.1:1", 5
    provider.save()
    response = admin_client.get(f"/single-sign-on/{provider.pk}/test/", follow=True)
    assert "did not respond" in response.content.decode()


def test_domains_belong_to_one_provider(admin_client):
    first, second = IdentityProviderFactory(), IdentityProviderFactory()
    url = "/single-sign-on/{}/domains/"
    assert admin_client.post(url.format(first.pk), {"domain": "@Halden.Example"}).status_code == 302
    assert SignInDomain.objects.get().domain == "halden.example"
    for domain in ("halden.example", "halden", "h\u00e4lden.example", "a@b.example", ""):
        assert admin_client.post(url.format(second.pk), {"domain": domain}).status_code == 422


def enforce(client, domain):
    url = f"/single-sign-on/domains/{domain.pk}/"
    return client.post(
        url, hidden_fields(client, url) | {"creates_users": "off", "is_enforced": "on"}
    )


def test_enforcing_needs_a_break_glass_admin_and_names_who_is_locked_out(admin_client, admin_user):
    provider = IdentityProviderFactory(domains=["halden.example"])
    domain, user = provider.domains.get(), UserFactory(email="never@halden.example")
    assert user.email in admin_client.get(f"/single-sign-on/domains/{domain.pk}/").content.decode()
    assert enforce(admin_client, domain).status_code == 422
    admin_client.post("/single-sign-on/break-glass/", {"user": admin_user.pk})
    assert enforce(admin_client, domain).status_code == 302
    domain.refresh_from_db()
    assert domain.is_enforced
    admin_client.post("/single-sign-on/break-glass/", {"user": ""})
    assert User.objects.get(is_break_glass=True) == admin_user


def test_only_an_admin_with_a_password_breaks_glass(admin_client):
    member = UserFactory()
    keyless = User.objects.create_user(email="a@example.org", name="A", role="admin")
    for user in (member, keyless):
        admin_client.post("/single-sign-on/break-glass/", {"user": user.pk})
    assert not User.objects.filter(is_break_glass=True).exists()


def test_mappings_are_added_once_and_removed(admin_client):
    provider, group = IdentityProviderFactory(), GroupFactory()
    url = f"/single-sign-on/{provider.pk}/mappings/"
    for becomes in (f"group:{group.pk}", "role:admin"):
        assert admin_client.post(url, {"value": "eng", "becomes": becomes}).status_code == 302
        assert admin_client.post(url, {"value": "eng", "becomes": becomes}).status_code == 422
    assert admin_client.post(url, {"value": "eng", "becomes": "role:member"}).status_code == 422
    for mapping in ClaimMapping.objects.all():
        admin_client.post(f"/single-sign-on/mappings/{mapping.pk}/remove/")
    assert not ClaimMapping.objects.exists()
    assert Event.objects.filter(event="provider:change_mapping").count() == 4


def test_the_environment_configures_a_provider_again_and_again(settings, capsys, db):
    settings.SSO_ISSUER, settings.SSO_CLIENT_ID = "https://login.example", "portal"
    settings.SSO_CLIENT_SECRET, settings.SSO_DOMAINS = "a-secret", ["halden.example"]
    for _ in range(2):
        call_command("configure_sso")
    provider = IdentityProvider.objects.get()
    assert (provider.secret, provider.version) == ("a-secret", 1)
    assert provider.redirect_address in capsys.readouterr().out
    settings.SSO_DOMAINS = ["not a domain"]
    with pytest.raises(CommandError, match="SSO_DOMAINS"):
        call_command("configure_sso")
