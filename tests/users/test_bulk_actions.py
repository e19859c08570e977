"""Several users at once: confirmed first, one service for each, and a summary of what was refused."""

import pytest

from apono_portal.users.models import Role, User
from apono_portal.users.services import bulk
from audit.models import Event
from mfa.exceptions import WindowClosed
from mfa.methods.selectors import is_enrolled
from mfa.verification.locking import advance_epoch
from tests.factories import AuthenticatorFactory, GroupFactory, UserFactory
from tests.users.test_users import by

pytestmark = pytest.mark.django_db
DEACTIVATE, RESET = "/users/selected/deactivate/", "/users/selected/reset-mfa/"
ADD = "/users/selected/add-to-group/"


def post(client, url: str, users, **fields):
    return client.post(url, {"user": [user.pk for user in users], **fields})


def inactive() -> set[str]:
    return set(User.objects.filter(is_active=False).values_list("name", flat=True))


def test_confirmation_names_them_and_changes_nothing(admin_client):
    users = [UserFactory(name="Petra"), UserFactory(name="Mei")]
    query = "&".join(f"user={user.pk}" for user in users)
    for url in (DEACTIVATE, RESET, ADD):
        page = admin_client.get(f"{url}?{query}").text
        assert "Petra" in page
        assert "Mei" in page
    assert not Event.objects.exists()


def test_several_are_deactivated_with_one_event_each(admin_client):
    users = [UserFactory(name="Petra"), UserFactory(name="Mei")]
    UserFactory(name="Other")
    assert "2 users" in post(admin_client, DEACTIVATE, users).text
    assert inactive() == {"Petra", "Mei"}
    assert Event.objects.filter(event="user:deactivate").count() == 2


def test_never_oneself_and_never_the_last_admin(admin_client, admin_user):
    member = UserFactory(name="Petra")
    page = post(admin_client, DEACTIVATE, [admin_user, member]).text
    assert inactive() == {"Petra"}
    assert bulk.YOURSELF in page
    # A second admin who selects the first, after having been deactivated by it, ends nothing.
    other = UserFactory(admin=True)
    stale = by(other)
    User.objects.filter(pk=other.pk).update(is_active=False)
    outcome = bulk.deactivate_users(**stale, users=[admin_user])
    assert [user for user, _ in outcome.refused] == [admin_user]
    assert User.objects.account_admins().get() == admin_user


def test_a_stale_page_says_what_was_already_done(admin_client):
    gone, user = UserFactory(name="Gone", is_active=False), UserFactory(name="Petra")
    page = post(admin_client, DEACTIVATE, [gone, user]).text
    assert "1 user, 1 left out" in page
    assert bulk.ALREADY_DEACTIVATED in page


def test_mfa_is_reset_for_those_who_have_it(admin_client, admin_user):
    enrolled = AuthenticatorFactory(user=UserFactory(name="Petra")).user
    without = UserFactory(name="Mei")
    other_admin = AuthenticatorFactory(user=UserFactory(admin=True)).user
    users = [enrolled, without, admin_user, other_admin]
    fields = {"reason": "Lost phones", "revoke_access": "off"}
    page = post(admin_client, RESET, users, **fields).text
    assert "1 user, 3 left out" in page
    assert bulk.ADMIN_ALONE in page
    assert not is_enrolled(enrolled.pk)
    assert is_enrolled(admin_user.pk)
    assert is_enrolled(other_admin.pk)
    assert Event.objects.get(event="mfa:reset").metadata["reason"] == "Lost phones"


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_resetting_needs_a_reason(admin_client, reason):
    user = AuthenticatorFactory().user
    answer = post(admin_client, RESET, [user], reason=reason, revoke_access="off")
    assert answer.status_code == 422
    assert is_enrolled(user.pk)


def test_several_join_a_group(admin_client):
    group, already, new = GroupFactory(name="Billing"), UserFactory(), UserFactory()
    group.user_set.add(already)
    searched = post(admin_client, ADD, [already, new], step="find", **{"find-group": "bill"})
    assert f'value="{group.pk}"' in searched.text
    page = post(admin_client, ADD, [already, new], group=group.pk).text
    assert set(group.user_set.all()) == {already, new}
    assert "1 user, 1 left out" in page
    assert Event.objects.get(event="group:change").metadata["joined"] == [new.email]


@pytest.mark.parametrize("ids", [[], ["x"], ["1e3"], ["9" * 19], ["999999"], [""]])
@pytest.mark.parametrize("url", [DEACTIVATE, RESET, ADD])
def test_nobody_sensible_selected_changes_nothing(admin_client, url, ids):
    UserFactory()
    assert admin_client.post(url, {"user": ids}).url == "/users/"
    assert inactive() == set()


def test_no_more_than_a_hundred_are_selected(admin_client, monkeypatch):
    monkeypatch.setattr("apono_portal.users.forms.MAX_SELECTED", 1)
    users = UserFactory.create_batch(2)
    page = admin_client.post(DEACTIVATE, {"user": [user.pk for user in users]}, follow=True)
    assert "Select at most 1 users" in page.text
    assert inactive() == set()


@pytest.mark.parametrize("who", ["member_client", "auditor_client"])
def test_others_find_no_such_pages(request, who):
    user = UserFactory()
    client = request.getfixturevalue(who)
    for url in (DEACTIVATE, RESET, ADD):
        assert client.get(url, {"user": user.pk}).status_code == 404
        assert post(client, url, [user]).status_code == 404
    assert "selected-users" not in client.get("/users/").text
    assert inactive() == set()


def test_a_closed_window_changes_nothing(signed_in, admin_user, admin_client):
    user = UserFactory()
    assert post(signed_in(admin_user), DEACTIVATE, [user]).url.startswith("/account/step-up/")
    with pytest.raises(WindowClosed):
        bulk.deactivate_users(**by(admin_user) | {"window": None}, users=[user])
    assert inactive() == set()


def test_a_window_that_closes_on_the_way_leaves_the_rest(admin_user, monkeypatch):
    users = [UserFactory(name="First"), UserFactory(name="Second")]
    deactivate = bulk.deactivate_user

    def deactivate_and_close(**arguments: object) -> bool:
        result = deactivate(**arguments)
        advance_epoch(user=admin_user)
        return result

    monkeypatch.setattr(bulk, "deactivate_user", deactivate_and_close)
    AuthenticatorFactory(user=admin_user)
    outcome = bulk.deactivate_users(**by(admin_user), users=users)
    assert [user.name for user in outcome.done] == ["First"]
    assert outcome.refused == [(users[1], bulk.WINDOW_CLOSED)]
    assert inactive() == {"First"}


def test_the_list_offers_the_selection_to_admins(admin_client):
    user = UserFactory(name="Petra", role=Role.AUDITOR)
    page = admin_client.get("/users/", {"q": "petra"}).text
    assert f'name="user" value="{user.pk}" form="selected-users"' in page
