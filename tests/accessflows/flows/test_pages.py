"""Access Flows in a browser: list, create, edit, the page after saving, on and off."""

import re

import pytest

from accessflows.flows.fingerprint import fingerprint_of, terms_of
from accessflows.models import AccessFlow
from audit.models import Event
from tests.factories import (
    AccessFlowFactory,
    AuthenticatorFactory,
    GroupFactory,
    UserFactory,
    set_requesters,
)
from tests.forms import post_form, requester_fields

CREATE = "/access-flows/new/self-serve/"


@pytest.fixture
def typed(choice, member_user):
    """A filled form."""
    return {
        "name": "Orders read-only",
        "require_mfa": "on",
        "mfa_strength": "any",
        **requester_fields(users=[member_user.pk]),
        "targets": [choice],
        "max_duration": "8h",
        "approval": "automatic",
        "agents": "none",
        "require_justification": "on",
    }


def html_of(answer):
    return answer.content.decode()


def edit(flow):
    return f"/access-flows/{flow.pk}/edit/"


def test_admin_creates_a_flow_that_requires_mfa(admin_client, typed):
    answer = post_form(admin_client, CREATE, typed)
    flow = AccessFlow.objects.get()
    assert answer.headers["Location"] == f"/access-flows/{flow.pk}/saved/"
    assert (flow.name, flow.require_mfa, flow.version) == ("Orders read-only", True, 1)
    assert flow.fingerprint == fingerprint_of(terms_of(flow))
    assert "demo / orders · orders_read" in [target.label for target in flow.targets.all()]


def test_creating_leaves_event_and_version(admin_client, typed):
    post_form(admin_client, CREATE, typed)
    flow = AccessFlow.objects.get()
    event = Event.objects.get(event="flow:create")
    assert event.metadata["terms"]["require_mfa"] is True
    assert flow.versions.get().terms == terms_of(flow)


def test_page_after_saving_says_so_and_leads_back(admin_client, typed):
    page = html_of(post_form(admin_client, CREATE, typed, follow=True))
    assert "Access flow saved" in page
    assert re.search(r'<a [^>]*href="/access-flows/">Done</a>', page)


def test_require_mfa_follows_the_name_directly(admin_client):
    names = re.findall(r'<input[^>]* name="(\w+)"', html_of(admin_client.get(CREATE)))
    at = names.index("name")
    assert names[at + 1] == "require_mfa"


def test_require_mfa_is_a_switch(admin_client):
    assert re.search(r'name="require_mfa"[^>]*role="switch"', html_of(admin_client.get(CREATE)))


def test_type_tile_leads_to_the_form(admin_client):
    page = html_of(admin_client.get("/access-flows/new/"))
    assert "Self Serve" in page
    assert f'href="{CREATE}"' in page


def test_flow_that_requires_mfa_may_demand_more(admin_client, typed):
    demands = {"mfa_strength": "phishing_resistant", "verify_every_request": "on"}
    flow = _created(admin_client, typed | demands)
    assert (flow.mfa_strength, flow.verify_every_request) == ("phishing_resistant", True)
    page = html_of(admin_client.get(f"/access-flows/{flow.pk}/saved/"))
    assert "Phishing-resistant (passkey)" in page
    assert "One request" in page
    post_form(admin_client, edit(flow), typed | demands | {"require_mfa": ""})
    flow.refresh_from_db()
    assert (flow.mfa_strength, flow.verify_every_request) == ("any", False)


def test_edit_turns_mfa_on_and_says_what_changed(admin_client, typed):
    flow = _created(admin_client, typed | {"require_mfa": ""})
    page = html_of(post_form(admin_client, edit(flow), typed, follow=True))
    flow.refresh_from_db()
    assert flow.require_mfa
    assert re.search(r"Require MFA\s*<span[^>]*><s>Off</s>.*<strong>On</strong>", page)
    change = Event.objects.get(event="flow:change").metadata["changes"]
    assert change == [{"term": "Require MFA", "before": "Off", "after": "On"}]


def test_edit_shows_what_is_saved(admin_client, typed):
    flow = _created(admin_client, typed)
    page = html_of(admin_client.get(edit(flow)))
    assert "<h1>Edit Access Flow</h1>" in page
    assert 'value="8 h"' in page
    assert re.search(r'name="targets" value="[0-9:]+"[^>]*checked', page)


def test_saving_without_a_change_leaves_no_version(admin_client, typed):
    flow = _created(admin_client, typed)
    post_form(admin_client, edit(flow), typed)
    flow.refresh_from_db()
    assert flow.version == 1
    assert not Event.objects.filter(event="flow:change").exists()


def test_an_error_keeps_everything_typed(admin_client, typed):
    answer = post_form(
        admin_client, CREATE, typed | {"max_duration": "soon", "description": "For you"}
    )
    page = html_of(answer)
    assert answer.status_code == 422
    for text in ("Orders read-only", "For you", 'value="soon"', "This is not a duration."):
        assert text in page
    assert re.search(r'name="require_mfa"[^>]*checked', page)
    assert re.search(r'name="targets"[^>]*checked', page)
    assert not AccessFlow.objects.exists()


def test_a_save_over_somebody_elses_save_is_refused(admin_client, typed):
    flow = _created(admin_client, typed)
    post_form(admin_client, edit(flow), typed | {"max_duration": "2h", "seen_version": "1"})
    answer = post_form(
        admin_client, edit(flow), typed | {"max_duration": "4h", "seen_version": "1"}
    )
    flow.refresh_from_db()
    assert answer.status_code == 422
    assert "Someone else saved this while" in html_of(answer)
    assert flow.max_duration.total_seconds() == 2 * 3600


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", " ", "Enter a name"),
        ("name", "x" * 81, "at most 80 characters"),
        ("name", "two\u202elines", "on one line"),
        ("requesters", "0", "Nobody can request yet"),
        ("requesters", "x", "incomplete"),
        ("requesters-0-user", [], "at least one user"),
        ("requesters-0-user", ["999999"], "Choose again"),
        ("requesters-0-user", ["9" * 40], "Choose again"),
        ("requesters-0-user", ["x\x00"], "Choose again"),
        ("targets", [], "at least one resource"),
        ("targets", ["1:1:1"], "Choose again"),
        ("targets", ["0:999999"], "Choose again"),
        ("targets", ["x"], "Choose again"),
        ("max_duration", "0", "one minute"),
        ("max_duration", "-1h", "not a duration"),
        ("max_duration", "NaN", "not a duration"),
        ("max_duration", "9999 days", "365 days"),
        ("approval", "nobody", "valid choice"),
        ("approval", "any_of", "at least one approver"),
        ("approval", "all_of", "at least one approver"),
    ],
)
def test_bad_input_gets_a_sentence(admin_client, typed, field, value, sentence):
    answer = post_form(admin_client, CREATE, typed | {field: value})
    assert answer.status_code == 422
    assert sentence in html_of(answer)
    assert not AccessFlow.objects.exists()


def test_names_are_unique_in_any_case(admin_client, typed):
    _created(admin_client, typed)
    answer = post_form(admin_client, CREATE, typed | {"name": "ORDERS READ-ONLY"})
    assert "Another access flow has this name" in html_of(answer)
    assert AccessFlow.objects.count() == 1


def test_fields_that_are_not_on_the_form_change_nothing(admin_client, typed):
    flow = _created(admin_client, typed)
    smuggled = {
        "is_active": "",
        "version": "99",
        "fingerprint": "f" * 64,
        "created_at": "2001-01-01",
    }
    post_form(admin_client, edit(flow), typed | smuggled)
    flow.refresh_from_db()
    assert (flow.is_active, flow.version) == (True, 1)
    assert flow.fingerprint == fingerprint_of(terms_of(flow))


def test_a_flow_is_deactivated_and_activated(admin_client):
    flow = AccessFlowFactory()
    post_form(admin_client, f"/access-flows/{flow.pk}/deactivate/")
    flow.refresh_from_db()
    assert not flow.is_active
    post_form(admin_client, f"/access-flows/{flow.pk}/activate/")
    flow.refresh_from_db()
    assert flow.is_active
    events = Event.objects.order_by("id").values_list("event", flat=True)
    assert list(events) == ["flow:deactivate", "flow:activate"]


def test_deactivating_confirms_first(admin_client):
    flow = AccessFlowFactory()
    page = html_of(admin_client.get(f"/access-flows/{flow.pk}/deactivate/"))
    flow.refresh_from_db()
    assert "revoked within seconds" in page
    assert flow.is_active


def test_deactivating_twice_leaves_one_event(admin_client):
    flow = AccessFlowFactory(is_active=False)
    post_form(admin_client, f"/access-flows/{flow.pk}/deactivate/")
    assert not Event.objects.exists()


@pytest.mark.parametrize("action", ["activate", "deactivate"])
def test_reading_pages_changes_nothing(admin_client, action):
    flow = AccessFlowFactory(is_active=action == "deactivate")
    admin_client.get(f"/access-flows/{flow.pk}/{action}/")
    flow.refresh_from_db()
    assert flow.is_active == (action == "deactivate")


def test_an_auditor_reads_the_list_and_is_offered_no_change(auditor_client):
    flow = AccessFlowFactory()
    page = html_of(auditor_client.get("/access-flows/"))
    assert flow.name in page
    assert "Create Access Flow" not in page
    assert "Actions for" not in page


@pytest.mark.parametrize("path", [CREATE, "/access-flows/{pk}/edit/"])
def test_an_enrolled_admin_needs_the_open_window(admin_user, signed_in, typed, path):
    flow = AccessFlowFactory()
    AuthenticatorFactory(user=admin_user)
    answer = post_form(signed_in(admin_user), path.format(pk=flow.pk), typed)
    assert answer.status_code == 302
    assert "step-up" in answer.headers["Location"]
    assert not AccessFlow.objects.filter(name="Orders read-only").exists()


def test_an_enrolled_admin_with_the_open_window_is_allowed(admin_user, verified, typed):
    post_form(verified(admin_user), CREATE, typed)
    assert AccessFlow.objects.filter(name="Orders read-only").exists()


@pytest.mark.parametrize("query", ["orders", "PETRA", "Storekeepers", "nothing-else orders"])
def test_search_covers_name_users_and_targets(admin_client, query):
    petra = UserFactory(name="Petra Person")
    group = GroupFactory(name="Storekeepers")
    flow = AccessFlowFactory(name="Orders", requester_users=[petra], requester_groups=[group])
    AccessFlowFactory(name="Billing")
    page = html_of(admin_client.get("/access-flows/", {"q": query}))
    assert (flow.name in page.split("<table")[-1]) == ("nothing" not in query)
    assert "Actions for Billing" not in page


def test_each_requester_is_counted_once(admin_client):
    petra, quit_long_ago = UserFactory(), UserFactory(is_active=False)
    keepers = GroupFactory(name="Storekeepers", members=[petra, UserFactory(), quit_long_ago])
    flow = AccessFlowFactory(name="Orders", requester_users=[petra], requester_groups=[keepers])
    assert "2 users" in html_of(admin_client.get(f"/access-flows/{flow.pk}/saved/"))
    page = html_of(admin_client.get("/access-flows/"))
    assert "User is Person" in page
    assert "or Group is Storekeepers" in page


def test_the_list_is_filtered_by_integration(admin_client):
    orders, _ = AccessFlowFactory(name="Orders", targets=1), AccessFlowFactory(name="Billing")
    integration = orders.targets.get().resource.integration_id
    page = html_of(admin_client.get("/access-flows/", {"integration": integration}))
    assert "Actions for Orders" in page
    assert "Actions for Billing" not in page


def test_duplicate_fills_in_the_terms_under_a_free_name(admin_client, typed):
    flow = _created(admin_client, typed)
    AccessFlowFactory(name="Orders read-only (copy)")
    page = html_of(admin_client.get(CREATE, {"like": flow.pk}))
    assert 'value="Orders read-only (copy 2)"' in page
    assert re.search(r'name="require_mfa"[^>]*checked', page)
    assert re.search(r'name="targets"[^>]*checked', page)
    assert not re.search(r'name="seen_version"[^>]*value', page)
    assert AccessFlow.objects.count() == 2


def test_the_name_of_a_copy_fits(admin_client):
    flow = AccessFlowFactory(name="x" * 80)
    page = html_of(admin_client.get(CREATE, {"like": flow.pk}))
    assert f'value="{"x" * 73} (copy)"' in page


@pytest.mark.parametrize("like", ["x", "0", "9" * 30, "%00"])
def test_nothing_to_duplicate_is_not_found(admin_client, like):
    assert admin_client.get(f"{CREATE}?like={like}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "integration=x",
        "integration=99",
        "status=x",
        "mfa=x&page=-1",
        "approval=%00",
        "page=zz",
        "q=%00%27",
    ],
)
def test_odd_filters_show_a_page(admin_client, query):
    AccessFlowFactory()
    assert admin_client.get(f"/access-flows/?{query}").status_code == 200


def test_the_list_makes_as_many_queries_for_ten_as_for_many(admin_client, questions_of):
    users = UserFactory.create_batch(5)
    AccessFlowFactory.create_batch(10, targets=1, requester_users=users)
    few = questions_of(admin_client, "/access-flows/")
    AccessFlowFactory.create_batch(50, targets=2, requester_users=users)
    assert questions_of(admin_client, "/access-flows/") == few


def test_the_form_makes_as_many_queries_for_ten_users_as_for_many(admin_client, questions_of):
    flow = AccessFlowFactory(targets=2, requester_users=UserFactory.create_batch(10))
    address = edit(flow)
    few = questions_of(admin_client, address)
    AccessFlowFactory.create_batch(20, targets=2)
    set_requesters(flow, users=UserFactory.create_batch(60))
    UserFactory.create_batch(60)
    GroupFactory.create_batch(20)
    assert questions_of(admin_client, address) == few


def _created(client, typed):
    assert post_form(client, CREATE, typed).status_code == 302
    return AccessFlow.objects.get()


def test_a_ticket_pattern_is_saved_and_shown_as_a_difference(admin_client, typed):
    post_form(admin_client, CREATE, typed | {"ticket_pattern": " OPS-#,  INC####### "})
    flow = AccessFlow.objects.get()
    assert (flow.ticket_pattern, flow.require_ticket) == ("OPS-# INC#######", False)
    page = html_of(
        post_form(admin_client, edit(flow), typed | {"require_ticket": "on"}, follow=True)
    )
    assert "Ticket pattern" in page
    assert "Require a ticket" in page


def test_a_pattern_that_is_ambiguous_is_marked(admin_client, typed):
    answer = post_form(admin_client, CREATE, typed | {"ticket_pattern": "#1"})
    assert answer.status_code == 422
    assert "already matches the digits" in html_of(answer)
