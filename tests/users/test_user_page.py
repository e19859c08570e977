"""The page of a user: everything about one person, for admins with actions and for auditors to read."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accessflows.models import AccessFlow
from apono_portal.scim.models import Directory, ScimGroup, ScimUser
from apono_portal.sso.models import ExternalIdentity, MappedMembership
from apono_portal.users.models import DeactivatedBy
from audit.events import EventName
from audit.services import record
from requests_app.models import Status
from tests.factories import (
    AccessFlowFactory,
    AccessRequestFactory,
    AuthenticatorFactory,
    GrantFactory,
    GroupFactory,
    IdentityProviderFactory,
    PasskeyFactory,
    TokenFactory,
    UserFactory,
    VerificationFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def person():
    return UserFactory(name="Hannah Fischer", email="hannah@corp.example")


def page_of(client, user) -> str:
    return client.get(f"/users/{user.pk}/").text


def connect(user, *, groups=()):
    provider = IdentityProviderFactory(name="Okta", domains=["corp.example"])
    ExternalIdentity.objects.create(
        provider=provider, issuer=provider.issuer, subject="00u1", user=user
    )
    for group in groups:
        MappedMembership.objects.create(provider=provider, user=user, group=group)
    return provider


def manage(user, *, group):
    directory = Directory.objects.create(name="Entra ID")
    ScimUser.objects.create(directory=directory, user=user, user_name="hannah")
    ScimGroup.objects.create(directory=directory, group=group)


def test_it_shows_who_the_user_is_and_how_they_sign_in(admin_client, person):
    connect(person)
    page = page_of(admin_client, person)
    for text in ("Hannah Fischer", "hannah@corp.example", "Member", "Okta or password", "00u1"):
        assert text in page


def test_it_shows_methods_with_their_dates_and_the_last_verification(admin_client, person):
    AuthenticatorFactory(user=person, name="Aegis on Pixel 8")
    PasskeyFactory(user=person, name="Blue key")
    VerificationFactory(user=person, at=timezone.now() - timedelta(days=2))
    page = page_of(admin_client, person)
    for text in ("Aegis on Pixel 8", "Blue key", "added ", "not used yet", "Last verified "):
        assert text in page


@pytest.mark.parametrize("source", ["Local", "Okta", "Entra ID"])
def test_each_group_has_its_source(admin_client, person, source):
    group = GroupFactory(name="Billing", members=[person])
    if source == "Okta":
        connect(person, groups=[group])
    elif source == "Entra ID":
        manage(person, group=group)
    page = page_of(admin_client, person)
    assert f'data-label="Source">{source}</td>' in page
    assert f"/users/groups/{group.pk}/" in page


def test_access_is_revoked_one_by_one_or_all_at_once(admin_client, person):
    grants = [
        GrantFactory(request=AccessRequestFactory(requester=person, status=Status.ACTIVE))
        for _ in range(2)
    ]
    other = GrantFactory()
    page = page_of(admin_client, person)
    keys = [grant.request_id for grant in grants]
    for key in keys:
        assert f'/active-access/revoke/?request={key}" aria-label="Revoke AR-{key}' in page
    together = f"/active-access/revoke/?request={keys[0]}&amp;request={keys[1]}"
    assert f'{together}">Revoke all</a>' in page
    confirmation = admin_client.get(together.replace("&amp;", "&"))
    assert [one.pk for one in confirmation.context["selection"].revocable] == keys
    assert other.request.reference not in page


def test_it_shows_recent_requests_and_tokens(admin_client, person):
    requests = [AccessRequestFactory(requester=person, status=Status.EXPIRED) for _ in range(6)]
    TokenFactory(user=person, name="Night jobs")
    page = page_of(admin_client, person)
    assert f">{requests[5].reference}<" in page
    assert f">{requests[0].reference}<" not in page
    assert "Night jobs" in page
    assert "/api-tokens/" in page or "/tokens/" in page


def test_its_links_list_what_the_user_did_requested_and_underwent(admin_client, person):
    other, admin = UserFactory(name="Somebody Else"), UserFactory(name="Nora Ekman")
    mine = AccessRequestFactory(requester=person)
    foreign = AccessRequestFactory(requester=other)
    record(event=EventName.SESSION_SIGN_IN, actor=person)
    record(event=EventName.USER_INVITE, actor=admin, target=person)
    activity = admin_client.get(f"/activity/?user_id={person.pk}").text
    assert f'id="r{mine.pk}"' in activity
    assert f'id="r{foreign.pk}"' not in activity
    did = admin_client.get(f"/audit-log/?actor_id={person.pk}").context["page"].rows
    assert [event.event for event in did] == [EventName.SESSION_SIGN_IN]
    about = admin_client.get(f"/audit-log/?user_id={person.pk}").context["page"].rows
    assert [event.event for event in about] == [EventName.USER_INVITE]
    assert "About: Hannah Fischer" in admin_client.get(f"/audit-log/?user_id={person.pk}").text
    assert admin_client.get("/activity/?user_id=x").status_code == 422
    assert admin_client.get("/audit-log/?actor_id=-1").status_code == 422


def test_statements_do_not_follow_the_history(admin_client, person, questions_of):
    url = f"/users/{person.pk}/"

    def add_history() -> None:
        request = AccessRequestFactory(requester=person, status=Status.ACTIVE)
        GrantFactory(request=request)
        PasskeyFactory(user=person)
        VerificationFactory(user=person)
        TokenFactory(user=person)
        person.groups.add(GroupFactory())

    add_history()
    few = questions_of(admin_client, url)
    for _ in range(5):
        add_history()
    assert questions_of(admin_client, url) == few <= 25


def test_an_auditor_reads_and_is_offered_no_action(auditor_client, person):
    AuthenticatorFactory(user=person)
    PasskeyFactory(user=person, name="New key", created_at=timezone.now())
    GrantFactory(request=AccessRequestFactory(requester=person, status=Status.ACTIVE))
    token = TokenFactory(user=person)
    page = page_of(auditor_client, person)
    assert "Recent requests" in page
    for word in ("Revoke", "Reset MFA", "Deactivate<", "Edit<", "password link", "Vouch"):
        assert word not in page
    assert f"/{token.pk}/revoke" not in page


def test_a_member_finds_no_such_page(member_client, member_user):
    assert member_client.get(f"/users/{member_user.pk}/").status_code == 404


def test_a_deactivated_user_is_offered_reactivation_only(admin_client, person):
    person.is_active, person.deactivated_by = False, DeactivatedBy.ADMIN
    person.save()
    page = page_of(admin_client, person)
    assert "Deactivated by an admin." in page
    assert f"/users/{person.pk}/reactivate/" in page
    assert f"/users/{person.pk}/deactivate/" not in page
    assert f"/users/{person.pk}/invite/" not in page


def test_no_password_link_where_single_sign_on_is_enforced(admin_client, person):
    provider = connect(person)
    assert f"/users/{person.pk}/invite/" in page_of(admin_client, person)
    provider.domains.update(is_enforced=True)
    page = page_of(admin_client, person)
    assert f"/users/{person.pk}/invite/" not in page
    assert "Okta, no password" in page


def test_names_lead_to_the_page_for_those_who_may_open_it(admin_client, signed_in, person):
    approver = UserFactory()
    flow = AccessFlowFactory(approval=AccessFlow.Approval.ANY_OF, approver_users=[approver])
    request = AccessRequestFactory(requester=person, flow=flow, status=Status.PENDING_APPROVAL)
    link = f'<a href="/users/{person.pk}/">Hannah Fischer</a>'
    for url in ("/activity/", f"/requests/AR-{request.pk}/", "/users/"):
        assert link in admin_client.get(url).text
    seen_by_approver = signed_in(approver).get(f"/requests/AR-{request.pk}/").text
    assert "Hannah Fischer" in seen_by_approver
    assert link not in seen_by_approver
    person.delete()
    assert "/users/None/" not in admin_client.get("/activity/").text
