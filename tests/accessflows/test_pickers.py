"""Pickers show what is chosen and a few matches, however many users there are."""

import pytest

from accessflows.pickers import MAX_MATCHES
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory

USERS, GROUPS = "/access-flows/pick/users/", "/access-flows/pick/groups/"


def options(client, url=USERS, **query):
    answer = client.get(url, {"field": "person", **query})
    assert answer.status_code == 200
    return answer.content.decode()


def test_matches_are_boxes_of_the_field(auditor_client):
    irma = UserFactory(name="Irma Solberg", email="irma@example.org")
    page = options(auditor_client, **{"find-person": "sol"})
    assert f'type="checkbox" name="person" value="{irma.pk}">' in page
    assert "irma@example.org" in page


def test_what_is_chosen_stays_chosen_and_is_no_match(auditor_client):
    irma = UserFactory(name="Irma Solberg")
    page = options(auditor_client, person=[irma.pk], **{"find-person": "irma"})
    assert page.count(f'value="{irma.pk}"') == 1
    assert f'value="{irma.pk}" checked' in page
    assert "No users match" in page


def test_a_deactivated_user_is_no_match(auditor_client):
    UserFactory(name="Irma Solberg", is_active=False)
    assert "No users match" in options(auditor_client, **{"find-person": "irma"})


def test_groups_match_anywhere_in_the_name(auditor_client):
    GroupFactory(name="Platform on-call")
    assert "Platform on-call" in options(auditor_client, GROUPS, **{"find-person": "ON-CALL"})


def test_more_matches_than_are_shown_are_mentioned(auditor_client):
    GroupFactory.create_batch(MAX_MATCHES + 1)
    page = options(auditor_client, GROUPS, **{"find-person": "g"})
    assert page.count('name="person"') == MAX_MATCHES
    assert "There are more." in page


def test_a_single_choice_can_be_nobody(auditor_client):
    group = GroupFactory()
    page = options(auditor_client, GROUPS, single="1", person=[group.pk])
    assert f'type="radio" name="person" value="{group.pk}" checked' in page
    assert 'type="radio" name="person" value="">' in page


@pytest.mark.parametrize("field", ["", "x" * 61, '"><b>', "%00"])
def test_an_odd_field_name_is_not_found(auditor_client, field):
    assert auditor_client.get(USERS, {"field": field}).status_code == 404


@pytest.mark.parametrize("value", ["x", "9" * 40, "\x00", "-1"])
def test_odd_values_and_searches_show_no_match(auditor_client, value):
    page = options(auditor_client, person=[value], **{"find-person": value})
    assert "checked" not in page


def test_members_may_not_search(member_client):
    assert member_client.get(USERS, {"field": "person"}).status_code == 404


def test_the_editor_and_the_simulator_do_not_grow_with_users(
    admin_client, questions_of, django_assert_num_queries
):
    flow = AccessFlowFactory(requester_users=[UserFactory()], targets=1)
    pages = [f"/access-flows/{flow.pk}/edit/", "/access-flows/new/self-serve/"]
    pages += ["/access-flows/simulator/", "/access-flows/"]

    def measured():
        return [
            (questions_of(admin_client, page), len(admin_client.get(page).content))
            for page in pages
        ]

    few = measured()
    UserFactory.create_batch(40)
    GroupFactory.create_batch(40)
    many = measured()
    assert [statements for statements, _ in many] == [statements for statements, _ in few]
    assert all(abs(size - before) < 64 for (_, size), (_, before) in zip(many, few, strict=True))
