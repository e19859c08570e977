"""The editor of a flow without script: rows of conditions and searches, with everything typed kept."""

import re

import pytest

from accessflows.models import AccessFlow
from accessflows.requesters import Condition
from tests.factories import AccessFlowFactory, GroupFactory, UserFactory
from tests.forms import hidden_fields, post_form, requester_fields

CREATE = "/access-flows/new/self-serve/"


@pytest.fixture
def billing(db):
    return GroupFactory(name="Billing engineers")


@pytest.fixture
def typed(choice, billing):
    return {
        "name": "Billing",
        **requester_fields(groups=[billing.pk]),
        "targets": [choice],
        "max_duration": "8h",
        "approval": "automatic",
        "agents": "none",
        "mfa_strength": "any",
        "require_justification": "on",
    }


def take_step(client, typed, step, **changes):
    answer = post_form(client, CREATE, {**typed, "step": step, **changes})
    assert answer.status_code == 200
    assert not AccessFlow.objects.exists()
    return answer.content.decode()


def rows(page):
    return re.findall(r'name="requesters-(\d)-set_number" value="(\d)"', page)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("and:1", [("0", "1"), ("1", "1")]),
        ("or", [("0", "1"), ("1", "2")]),
        ("remove:0", []),
        ("remove:9", [("0", "1")]),
        ("x", [("0", "1")]),
    ],
)
def test_a_step_changes_the_rows_and_keeps_what_was_typed(admin_client, typed, step, expected):
    page = take_step(admin_client, typed, step, description="For invoices")
    assert rows(page) == expected
    assert 'value="For invoices"' in page
    assert re.search(r'name="targets"[^>]*checked', page)
    if expected:
        assert "Billing engineers" in page
    else:
        assert "Nobody can request yet." in page
    assert 'class="error"' not in page


def test_another_attribute_shows_its_operators_and_search(admin_client, typed):
    changes = {"requesters-0-attribute": "email_domain", "requesters-0-operator": "starts_with"}
    page = take_step(admin_client, typed, "update", **changes)
    assert 'name="requesters-0-text"' in page
    assert 'value="starts_with"' not in page
    assert '<option value="is" selected>' in page


def test_find_returns_matches_to_tick(admin_client, typed):
    group = GroupFactory(name="Finance")
    owner = UserFactory(name="Olga Owner")
    search = {"find-requesters-0-group": "fin", "find-approver_users": "olga"}
    page = take_step(admin_client, typed, "find", **search)
    assert f'name="requesters-0-group" value="{group.pk}">' in page
    assert f'name="approver_users" value="{owner.pk}">' in page
    assert "Billing engineers" in page


def test_conditions_are_saved_and_shown_again(admin_client, typed, billing):
    data = typed | {
        "requesters": 3,
        "requesters-1-set_number": 1,
        "requesters-1-attribute": "email_domain",
        "requesters-1-operator": "is_not",
        "requesters-1-text": "@Contractor.example, temp.example",
        "requesters-2-set_number": 2,
        "requesters-2-attribute": "group",
        "requesters-2-operator": "starts_with",
        "requesters-2-text": "ops-",
    }
    assert post_form(admin_client, CREATE, data).status_code == 302
    flow = AccessFlow.objects.get()
    assert flow.requesters_summary == (
        "Group is Billing engineers and Email domain is not contractor.example or temp.example, "
        "or Group starts with ops-"
    )
    page = admin_client.get(f"/access-flows/{flow.pk}/edit/").content.decode()
    assert rows(page) == [("0", "1"), ("1", "1"), ("2", "2")]
    assert 'value="contractor.example, temp.example"' in page
    assert f'name="requesters-0-group" value="{billing.pk}" checked' in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"requesters-0-group": []}, "Choose at least one group."),
        ({"requesters-0-operator": "contains", "requesters-0-text": ""}, "at least one group"),
        ({"requesters-0-attribute": "user"}, "incomplete"),
        (
            {"requesters-0-attribute": "email_domain", "requesters-0-text": " @ "},
            "at least one email domain",
        ),
        (
            {
                "requesters-0-attribute": "email_domain",
                "requesters-0-operator": "starts_with",
                "requesters-0-text": "a",
            },
            "no longer exists",
        ),
        ({"requesters-0-set_number": ""}, "incomplete"),
        ({"requesters": "0"}, "Nobody can request yet."),
        ({"requesters": "99"}, "incomplete"),
    ],
)
def test_an_incomplete_condition_is_an_error(admin_client, typed, changes, sentence):
    answer = post_form(admin_client, CREATE, typed | changes)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert not AccessFlow.objects.exists()


def test_a_user_id_is_never_taken_for_a_group(admin_client, typed, billing):
    changes = {"requesters-0-attribute": "user", "requesters-0-user": ""}
    answer = post_form(admin_client, CREATE, typed | changes)
    assert answer.status_code == 422
    assert "at least one user" in answer.content.decode()


def test_automatic_approval_ignores_what_it_does_not_show(admin_client, typed, billing):
    hidden = {
        "approver_groups": [billing.pk],
        "approvals_required": "x",
        "escalation_group_1": billing.pk,
        "escalation_wait_1": "soon",
    }
    assert post_form(admin_client, CREATE, typed | hidden).status_code == 302
    flow = AccessFlow.objects.get()
    assert not flow.approver_groups.exists()
    assert not flow.escalation_tiers.exists()


def test_the_review_describes_the_flow(admin_client, typed, billing):
    data = typed | {"approval": "any_of", "approver_groups": [billing.pk], "max_extensions": "2"}
    data = hidden_fields(admin_client, CREATE) | data
    page = admin_client.post("/access-flows/new/preview/", data).content.decode()
    for sentence in (
        "Users can request if Group is Billing engineers.",
        "1 of these must approve: Billing engineers.",
        "Access lasts up to 8 h, can be extended 2 times by 1 h, and expires automatically.",
    ):
        assert sentence in page


def test_a_deleted_group_must_be_replaced(admin_client, typed):
    gone = GroupFactory()
    flow = AccessFlowFactory(targets=1, requesters=((Condition("group", "is_not", (gone.pk,)),),))
    gone.delete()
    page = admin_client.get(f"/access-flows/{flow.pk}/edit/").content.decode()
    assert rows(page) == [("0", "1")]
    assert "a deleted group" in admin_client.get("/access-flows/").content.decode()
