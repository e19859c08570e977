"""Reset MFA: admins only, themselves included, at once, everywhere, with a reason."""

import pytest

from audit.models import Event
from mfa.models import Authenticator
from requests_app.models import AccessRequest, Status
from tests.factories import AccessRequestFactory, AuthenticatorFactory, GrantFactory, UserFactory


@pytest.fixture
def petra(db):
    person = UserFactory(name="Petra Person", email="petra@example.org")
    AuthenticatorFactory(user=person)
    return person


def path(person):
    return f"/users/{person.pk}/reset-mfa/"


def is_enrolled(person):
    return Authenticator.objects.confirmed().filter(user=person).exists()


def test_the_dialog_says_what_happens(admin_client, petra):
    page = admin_client.get(path(petra)).content.decode()
    assert "data-dialog-content" in page
    for words in ("Reset MFA</h1>", "Ends every session", "Petra Person", ">Reset MFA</button>"):
        assert words in page
    assert is_enrolled(petra)


def test_a_reset_removes_mfa_and_ends_every_session(admin_client, petra, verified):
    client = verified(petra)
    assert client.get("/account/password/").status_code == 200
    answer = admin_client.post(path(petra), {"reason": "Lost phone"})
    assert answer.headers["Location"] == "/users/"
    assert not is_enrolled(petra)
    assert client.get("/account/password/").status_code == 302


def test_a_reset_is_recorded_with_its_reason(admin_client, admin_user, petra):
    admin_client.post(path(petra), {"reason": "Lost phone"})
    event = Event.objects.get(event="mfa:reset")
    assert (event.actor_id, event.target_id) == (admin_user.pk, str(petra.pk))
    assert event.metadata["reason"] == "Lost phone"


@pytest.mark.parametrize("reason", ["", "   ", "\n", "x" * 501])
def test_without_a_reason_nothing_happens(admin_client, petra, reason):
    answer = admin_client.post(path(petra), {"reason": reason})
    assert answer.status_code == 422
    assert 'id="id_reason_error"' in answer.content.decode()
    assert is_enrolled(petra)


@pytest.mark.parametrize(
    ("ticked", "status"), [({}, Status.ACTIVE), ({"revoke_access": "on"}, Status.REVOKING)]
)
def test_open_access_ends_only_if_ticked(admin_client, petra, ticked, status):
    request = AccessRequestFactory(requester=petra, status=Status.ACTIVE)
    GrantFactory(request=request)
    admin_client.post(path(petra), {"reason": "Lost phone"} | ticked)
    assert AccessRequest.objects.get(pk=request.pk).status == status


def test_an_admin_may_reset_themself_and_signs_in_anew(admin_user, verified):
    client = verified(admin_user)
    answer = client.post(path(admin_user), {"reason": "New phone"}, follow=True)
    assert answer.redirect_chain == [("/sign-in/", 302)]
    assert "Your MFA is reset" in answer.content.decode()
    assert not is_enrolled(admin_user)


def test_an_enrolled_admin_needs_the_open_window(admin_user, admin_client, petra):
    AuthenticatorFactory(user=admin_user)
    answer = admin_client.post(path(petra), {"reason": "Lost phone"})
    assert answer.status_code == 302
    assert is_enrolled(petra)


@pytest.mark.parametrize("who", ["member_client", "auditor_client"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_others_are_told_there_is_no_such_page(request, petra, who, method):
    client = request.getfixturevalue(who)
    answer = getattr(client, method)(path(petra), {"reason": "I want to"})
    assert answer.status_code == 404
    assert is_enrolled(petra)


def test_there_is_nothing_to_reset_for_who_has_no_mfa(admin_client, member_user):
    answer = admin_client.post(path(member_user), {"reason": "x"}, follow=True)
    assert "nothing to reset" in answer.content.decode()
    assert not Event.objects.filter(event="mfa:reset").exists()


def test_a_form_from_elsewhere_resets_nothing(admin_user, petra):
    from django.test import Client

    from tests.conftest import BACKEND

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user, backend=BACKEND)
    assert client.post(path(petra), {"reason": "x"}).status_code == 403
    assert is_enrolled(petra)
