"""No URL changes what it is not for: every field is posted to each, in every role."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from tests.architecture.conftest import World
from tests.architecture.smuggling import changes, own_form, rolled_back, smuggled_fields, snapshot
from tests.architecture.test_urls import VIEWS
from tests.architecture.url_table import URLS, Guard
from tests.architecture.writes import WRITES


def url_of(world: World, name: str) -> str:
    """Return the URL of a view about an object that exists."""
    space, _, action = name.partition(":")
    if "flow" in action or space == "flows":
        about = "flow"
    elif space == "sso":
        about = next((part for part in ("domain", "mapping") if part in action), "provider")
        about = "provider" if action.startswith("add_") else about
    elif "integration" in action or space == "integrations":
        about = "integration"
    elif space == "requests":
        about = "waiting" if URLS[name] is Guard.APPROVER or action == "cancel" else "open"
    else:
        about = "group" if "group" in action else "person"
    run = world.numbers["canary" if "canary" in action else "check"]
    own = {"pk": world.numbers[about], "run_pk": run, "kind": "passkey", "slug": "okta"}
    return reverse(name, kwargs={**VIEWS[name], **{k: own[k] for k in VIEWS[name] if k in own}})


def attempts(world: World, who: str, name: str) -> Iterator[dict[str, set[Any]]]:
    """Post every field, then the page's own form with every other field. Yields what changed."""
    url, client = url_of(world, name), world.clients[who]
    cookie = client.cookies.get(settings.SESSION_COOKIE_NAME)
    everything = smuggled_fields(world.people.get(who, world.people["bystander"]))
    for make_fields in (lambda: everything, lambda: page_form(client, url, everything)):
        fields = make_fields()
        if not fields:
            return
        with rolled_back() as writes:
            response = client.post(url, fields)
            yield changes(world.rows, snapshot()) if writes else {}
        client.cookies.clear()
        if cookie:
            client.cookies[settings.SESSION_COOKIE_NAME] = cookie.value
        if response.status_code in {404, 405}:
            return


def page_form(client: Client, url: str, extra: dict[str, Any]) -> dict[str, Any]:
    page = client.get(url)
    if page.status_code != 200 or page.streaming:
        return {}
    return own_form(page.content.decode(), url, extra)


MAY = {
    Guard.PUBLIC: {"stranger", "bystander", "requester", "approver", "auditor", "admin", "closed"},
    Guard.SIGNED_IN: {"bystander", "requester", "approver", "auditor", "admin", "closed"},
    Guard.OWN: {"requester", "admin", "closed"},
    Guard.APPROVER: {"approver"},
    Guard.READER: {"auditor", "admin", "closed"},
    Guard.ADMIN: {"admin"},
}


@pytest.mark.parametrize(
    "who", ["stranger", "bystander", "requester", "approver", "auditor", "closed", "admin"]
)
def test_a_url_changes_only_what_it_is_for_and_members_only_what_is_theirs(world, who):
    wrong = {}
    may_change_others = who in {"closed", "admin"}
    for name in VIEWS:
        allowed = WRITES.get(name, set()) if who in MAY[URLS[name]] else set()
        for changed in attempts(world, who, name):
            owners = set().union(*changed.values()) - {None}
            foreign = not may_change_others and owners - {
                world.people[who].pk if who in world.people else 0
            }
            if set(changed) - allowed or foreign:
                wrong[name] = {field: sorted(map(str, ids)) for field, ids in changed.items()}
    assert wrong == {}
